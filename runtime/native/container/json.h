// Reading JSON that nobody vouches for: a cursor over a parsed text that returns typed values or refuses, naming the place,
// in the words of compiler/container/json.ts.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/size.h"
#include "container/decode.h"

namespace sluice {

class Cursor {
 public:
  Cursor(const nlohmann::json& json, std::string_view name) : json_(json), key_(name) {}

  [[noreturn]] void refuse(const std::string& expected) const { throw JsonError(path() + ": expected " + expected); }

  std::string text() const {
    if (!json_.is_string()) refuse("text");
    return json_.get_ref<const std::string&>();
  }
  bool flag() const {
    if (!json_.is_boolean()) refuse("true or false");
    return json_.get<bool>();
  }
  /** Any number; those that JSON lacks have names. */
  double real() const {
    if (json_.is_number()) return json_.get<double>();
    if (json_.is_object() && json_.contains("number") && json_["number"].is_string()) {
      const auto& name = json_["number"].get_ref<const std::string&>();
      if (name == "nan") return std::numeric_limits<double>::quiet_NaN();
      if (name == "inf") return std::numeric_limits<double>::infinity();
      if (name == "-inf") return -std::numeric_limits<double>::infinity();
      if (name == "-0") return -0.0;
    }
    refuse("a number");
  }
  int64_t integer() const {
    if (json_.is_number_integer()) {
      const auto n = json_.is_number_unsigned() && json_.get<uint64_t>() > static_cast<uint64_t>(LARGEST_SIZE) ? LARGEST_SIZE + 1 : json_.get<int64_t>();
      if (n >= -LARGEST_SIZE && n <= LARGEST_SIZE) return n;
    } else if (json_.is_number_float()) {
      const double x = json_.get<double>();
      if (x >= -static_cast<double>(LARGEST_SIZE) && x <= static_cast<double>(LARGEST_SIZE) && x == static_cast<double>(static_cast<int64_t>(x))) return static_cast<int64_t>(x);
    }
    refuse("an integer");
  }
  /** At least 0 and below the limit. */
  int64_t index(int64_t limit) const {
    const int64_t n = integer();
    if (n < 0 || n >= limit) refuse("an integer from 0 to " + std::to_string(limit - 1));
    return n;
  }
  int64_t count() const { return index(LARGEST_SIZE + 1); }
  /** The position among the words. */
  size_t oneOf(std::initializer_list<std::string_view> words) const {
    if (json_.is_string()) {
      const auto& found = json_.get_ref<const std::string&>();
      size_t i = 0;
      for (const auto word : words) {
        if (word == found) return i;
        i++;
      }
    }
    refuse("one of " + list(words));
  }
  /** An object's `kind`, likewise. */
  size_t kind(std::initializer_list<std::string_view> kinds) const {
    if (json_.is_object() && json_.contains("kind")) return (*this)["kind"].oneOf(kinds);
    throw JsonError(path() + ".kind: expected one of " + list(kinds));
  }

  bool isNull() const { return json_.is_null(); }
  bool isNumber() const { return json_.is_number(); }
  bool isText() const { return json_.is_string(); }
  bool has(std::string_view key) const { return json_.is_object() && json_.contains(key); }

  /** Refuses what is no object with exactly these fields. */
  const Cursor& record(std::initializer_list<std::string_view> required, std::initializer_list<std::string_view> optional = {}) const {
    if (!json_.is_object()) refuse("an object");
    size_t known = 0;
    for (const auto key : required) {
      if (!json_.contains(key)) refuse("a field \"" + std::string(key) + "\"");
      known++;
    }
    for (const auto key : optional) known += json_.contains(key) ? 1 : 0;
    if (known == json_.size()) return *this;
    for (const auto& [key, _] : json_.items()) {
      bool isKnown = false;
      for (const auto word : required) isKnown = isKnown || word == key;
      for (const auto word : optional) isKnown = isKnown || word == key;
      if (!isKnown) refuse("no field " + nlohmann::json(key).dump());
    }
    return *this;
  }
  Cursor operator[](std::string_view key) const { return Cursor(*this, json_.find(key).value(), key, 0); }

  size_t size() const {
    if (!json_.is_array()) refuse("a list");
    return json_.size();
  }
  Cursor operator[](size_t i) const { return Cursor(*this, json_[i], {}, i); }
  /** What `decode` makes of each item. */
  template <typename Decode>
  auto list(Decode&& decode) const {
    std::vector<decltype(decode(*this))> out;
    const size_t n = size();
    out.reserve(n);
    for (size_t i = 0; i < n; i++) out.push_back(decode((*this)[i]));
    return out;
  }
  template <typename Decode>
  auto nullable(Decode&& decode) const -> std::optional<decltype(decode(*this))> {
    if (isNull()) return std::nullopt;
    return decode(*this);
  }

 private:
  Cursor(const Cursor& parent, const nlohmann::json& json, std::string_view key, size_t index) : json_(json), parent_(&parent), key_(key), index_(index) {}

  static std::string list(std::initializer_list<std::string_view> words) {
    std::string out;
    for (const auto word : words) out += (out.empty() ? "" : ", ") + std::string(word);
    return out;
  }
  std::string path() const {
    if (parent_ == nullptr) return std::string(key_);
    return parent_->path() + (key_.empty() ? "[" + std::to_string(index_) + "]" : "." + std::string(key_));
  }

  const nlohmann::json& json_;
  /** Cursors live on the stack, each below its parent. */
  const Cursor* parent_ = nullptr;
  std::string_view key_;
  size_t index_ = 0;
};

}  // namespace sluice
