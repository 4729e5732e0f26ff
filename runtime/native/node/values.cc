#include "node/values.h"

#include <cstring>
#include <stdexcept>

namespace sluice::node {
namespace {

/** Results from so many bytes on keep their memory; a buffer of JavaScript's own costs less below. */
constexpr size_t LARGE = 65536;

Napi::Uint8Array bytesToJs(Napi::Env env, std::vector<std::byte> bytes) {
  const size_t length = bytes.size();
  if (length < LARGE) {
    auto array = Napi::Uint8Array::New(env, length);
    if (length > 0) std::memcpy(array.Data(), bytes.data(), length);
    return array;
  }
  auto* const owned = new std::vector<std::byte>(std::move(bytes));
  const auto buffer = Napi::ArrayBuffer::New(env, owned->data(), length, [](Napi::Env, void*, std::vector<std::byte>* memory) { delete memory; }, owned);
  return Napi::Uint8Array::New(env, length, buffer, 0);
}

std::vector<std::byte> bytesFrom(Napi::Value value) {
  if (!value.IsTypedArray()) throw Napi::TypeError::New(value.Env(), "a typed array is expected");
  const auto array = value.As<Napi::TypedArray>();
  const auto* const start = static_cast<const std::byte*>(array.ArrayBuffer().Data()) + array.ByteOffset();
  return {start, start + array.ByteLength()};
}

std::string textFrom(Napi::Object from, const char* key) {
  const Napi::Value value = from.Get(key);
  return value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
}

}  // namespace

HostTensor tensorFrom(Napi::Value value) {
  const auto object = value.As<Napi::Object>();
  const auto dtype = dtypeNamed(textFrom(object, "dtype"));
  if (!dtype) throw Napi::TypeError::New(value.Env(), "a tensor has no dtype");
  HostTensor tensor{*dtype, {}, {}};
  const auto shape = object.Get("shape").As<Napi::Array>();
  for (uint32_t i = 0; i < shape.Length(); i++) tensor.shape.push_back(shape.Get(i).As<Napi::Number>().Int64Value());
  tensor.bytes = bytesFrom(object.Get("data"));
  if (static_cast<int64_t>(tensor.bytes.size()) != byteLength(*dtype, elementCount(tensor.shape))) throw Napi::TypeError::New(value.Env(), "a tensor has other bytes than its type says");
  return tensor;
}

Napi::Object toJs(Napi::Env env, HostTensor tensor) {
  auto object = Napi::Object::New(env);
  object.Set("dtype", std::string(name(tensor.dtype)));
  auto shape = Napi::Array::New(env, tensor.shape.size());
  for (uint32_t i = 0; i < tensor.shape.size(); i++) shape.Set(i, static_cast<double>(tensor.shape[i]));
  object.Set("shape", shape);
  object.Set("bytes", bytesToJs(env, std::move(tensor.bytes)));
  return object;
}

NamedTensors namedTensorsFrom(Napi::Value value) {
  NamedTensors tensors;
  const auto pairs = value.As<Napi::Array>();
  for (uint32_t i = 0; i < pairs.Length(); i++) {
    const auto pair = pairs.Get(i).As<Napi::Array>();
    tensors.emplace_back(pair.Get(0U).As<Napi::String>().Utf8Value(), tensorFrom(pair.Get(1U)));
  }
  return tensors;
}

Napi::Array toJs(Napi::Env env, NamedTensors tensors) {
  auto pairs = Napi::Array::New(env, tensors.size());
  for (uint32_t i = 0; i < tensors.size(); i++) {
    auto pair = Napi::Array::New(env, 2);
    pair.Set(0U, tensors[i].first);
    pair.Set(1U, toJs(env, std::move(tensors[i].second)));
    pairs.Set(i, pair);
  }
  return pairs;
}

std::vector<std::pair<std::string, double>> numbersFrom(Napi::Value value) {
  std::vector<std::pair<std::string, double>> numbers;
  const auto pairs = value.As<Napi::Array>();
  for (uint32_t i = 0; i < pairs.Length(); i++) {
    const auto pair = pairs.Get(i).As<Napi::Array>();
    numbers.emplace_back(pair.Get(0U).As<Napi::String>().Utf8Value(), pair.Get(1U).As<Napi::Number>().DoubleValue());
  }
  return numbers;
}

std::shared_ptr<const Picture> pictureFrom(Napi::Object value) {
  auto picture = std::make_shared<Picture>();
  picture->width = value.Get("width").As<Napi::Number>().Int64Value();
  picture->height = value.Get("height").As<Napi::Number>().Int64Value();
  picture->rgb = bytesFrom(value.Get("rgb"));
  if (const Napi::Value alpha = value.Get("alpha"); alpha.IsTypedArray()) picture->alpha = bytesFrom(alpha);
  return picture;
}

Napi::Value toJs(Napi::Env env, const PictureSource& source) {
  if (const auto* path = std::get_if<std::string>(&source)) return Napi::String::New(env, *path);
  const Picture& picture = *std::get<std::shared_ptr<const Picture>>(source);
  auto object = Napi::Object::New(env);
  object.Set("width", static_cast<double>(picture.width));
  object.Set("height", static_cast<double>(picture.height));
  object.Set("rgb", bytesToJs(env, picture.rgb));
  object.Set("alpha", picture.alpha ? Napi::Value(bytesToJs(env, *picture.alpha)) : env.Null());
  return object;
}

Napi::Array toJs(Napi::Env env, std::vector<Row> rows) {
  auto list = Napi::Array::New(env, rows.size());
  for (uint32_t i = 0; i < rows.size(); i++) {
    auto values = Napi::Array::New(env, rows[i].values.size());
    for (uint32_t k = 0; k < rows[i].values.size(); k++) {
      auto& [name, value] = rows[i].values[k];
      auto named = Napi::Object::New(env);
      named.Set("name", name);
      if (const auto* number = std::get_if<double>(&value)) named.Set("value", *number);
      else if (const auto* text = std::get_if<std::string>(&value)) named.Set("value", *text);
      else named.Set("value", toJs(env, std::move(std::get<HostTensor>(value))));
      values.Set(k, named);
    }
    auto row = Napi::Object::New(env);
    row.Set("kind", rows[i].kind == Row::Kind::log ? "log" : "emit");
    row.Set("inLoop", rows[i].inLoop);
    row.Set("values", values);
    list.Set(i, row);
  }
  return list;
}

Napi::Object toJs(Napi::Env env, const std::exception_ptr& failure) {
  auto object = Napi::Object::New(env);
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    const Diagnostic& d = error.diagnostic;
    auto diagnostic = Napi::Object::New(env);
    const auto set = [&](const char* key, const std::string& text) {
      if (!text.empty()) diagnostic.Set(key, text);
    };
    set("code", d.code);
    set("message", d.message);
    set("found", d.found);
    set("expected", d.expected);
    set("hint", d.hint);
    if (d.span) {
      auto span = Napi::Object::New(env);
      span.Set("file", d.span->file);
      span.Set("line", static_cast<double>(d.span->line));
      span.Set("column", static_cast<double>(d.span->column));
      diagnostic.Set("span", span);
    }
    object.Set("diagnostic", diagnostic);
  } catch (const std::exception& error) {
    object.Set("message", error.what());
  }
  return object;
}

std::exception_ptr errorFrom(Napi::Object value) {
  if (!value.Get("diagnostic").IsObject()) return std::make_exception_ptr(std::runtime_error(textFrom(value, "message")));
  const auto d = value.Get("diagnostic").As<Napi::Object>();
  Diagnostic diagnostic{.code = textFrom(d, "code"), .message = textFrom(d, "message"), .found = textFrom(d, "found"), .expected = textFrom(d, "expected"), .hint = textFrom(d, "hint")};
  if (d.Get("span").IsObject()) {
    const auto span = d.Get("span").As<Napi::Object>();
    diagnostic.span = Span{textFrom(span, "file"), span.Get("line").As<Napi::Number>().Int64Value(), span.Get("column").As<Napi::Number>().Int64Value()};
  }
  return std::make_exception_ptr(Error(std::move(diagnostic)));
}

}  // namespace sluice::node
