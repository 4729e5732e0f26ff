// The runtime under Node. A program has a thread of its own, which leads its crew and does one job at a time: the event loop
// never waits for it. What a procedure asks of files and pictures is asked of JavaScript, so that results are the same as
// with WebAssembly, whatever format they are in; the thread waits for the answer. runtime/native/backend.ts has the other side.
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>

#include "device/target.h"
#include "exec/machine.h"
#include "exec/procedure.h"
#include "node/devices.h"
#include "node/values.h"

namespace sluice::node {
namespace {

/** Rows on their way to JavaScript beyond which a procedure waits. */
constexpr size_t ROWS = 4096;

/** What JavaScript did for a procedure. */
struct Answer {
  std::exception_ptr error;
  NamedTensors tensors;
};

/** A job's result, made for JavaScript on its thread. */
using MakeResult = std::function<Napi::Value(Napi::Env)>;

class NativeProgram final : public Napi::ObjectWrap<NativeProgram>, private Host, private Sink {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "NativeProgram", {
        InstanceMethod("open", &NativeProgram::open), InstanceMethod("call", &NativeProgram::call), InstanceMethod("run", &NativeProgram::run),
        InstanceMethod("cancel", &NativeProgram::cancel), InstanceMethod("answer", &NativeProgram::answer), InstanceMethod("taken", &NativeProgram::taken), InstanceMethod("getState", &NativeProgram::getState),
        InstanceMethod("setState", &NativeProgram::setState), InstanceMethod("trace", &NativeProgram::trace), InstanceMethod("close", &NativeProgram::close)});
  }

  /** (bytes, { target, threads, dims, checkNan, trace, validate }, listener: (kind, …) => void) */
  explicit NativeProgram(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    const auto bytes = info[0].As<Napi::Uint8Array>();
    // At an address where constants can be used as they lie.
    file_.reset(static_cast<std::byte*>(std::aligned_alloc(4096, (bytes.ByteLength() + 4095) / 4096 * 4096)));
    if (!file_ && bytes.ByteLength() > 0) throw Napi::Error::New(info.Env(), "not enough memory for the container");
    length_ = bytes.ByteLength();
    if (length_ > 0) std::memcpy(file_.get(), bytes.Data(), length_);
    const auto options = info[1].As<Napi::Object>();
    target_ = text(options.Get("target"));
    threads_ = options.Get("threads").As<Napi::Number>().Int32Value();
    checkNan_ = options.Get("checkNan").As<Napi::Boolean>().Value();
    isValidated_ = options.Get("validate").As<Napi::Boolean>().Value();
    isTraced_ = options.Get("trace").As<Napi::Boolean>().Value();
    for (const auto& [name, value] : numbersFrom(options.Get("dims"))) dims_.emplace_back(name, static_cast<int64_t>(value));
    toJavaScript_ = Napi::ThreadSafeFunction::New(info.Env(), info[2].As<Napi::Function>(), "sluice", 0, 1);
    toJavaScript_.Unref(info.Env());
    napi_add_env_cleanup_hook(info.Env(), stopped, this);
    thread_ = std::thread([this] { work(); });
  }
  ~NativeProgram() override {
    napi_remove_env_cleanup_hook(Env(), stopped, this);
    stop();
  }

 private:
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };

  // JavaScript's thread

  Napi::Value open(const Napi::CallbackInfo& info) {
    return begin(info.Env(), [this]() -> MakeResult {
      container_ = readContainer({file_.get(), length_});
      const ModuleInfo& module = moduleFor(container_.modules, target_);
      DeviceOptions device{.threads = threads_};
      if (isValidated_) device.onMessage = [this](const std::string& text) { objections_.push_back(text); };
      device_ = openDevice(module, target_, device);
      machine_ = std::make_unique<Machine>(MachineOptions{.device = *device_, .container = container_, .module = module, .dims = dims_, .checkNan = checkNan_,
          .print = [this](const std::string& text) {
            tell([text](Napi::Env env, Napi::Function listener) { listener.Call({Napi::String::New(env, "print"), Napi::String::New(env, text)}); });
          },
          .trace = isTraced_ ? &trace_ : nullptr});
      return [text = device_->description()](Napi::Env env) { return Napi::String::New(env, text); };
    });
  }

  Napi::Value call(const Napi::CallbackInfo& info) {
    return begin(info.Env(), [this, entry = text(info[0]), inputs = namedTensorsFrom(info[1]), dims = numbersFrom(info[2])]() -> MakeResult {
      const Program& program = machine_->program();
      std::vector<NamedInput> given;
      for (const auto& [name, tensor] : inputs) given.push_back({name, &tensor});
      std::vector<DimValue> sizes;
      for (const auto& [name, value] : dims) {
        const auto dim = std::find(program.dimNames.begin(), program.dimNames.end(), name);
        if (dim != program.dimNames.end()) sizes.push_back({static_cast<DimId>(dim - program.dimNames.begin()), static_cast<int64_t>(value)});
      }
      const size_t index = machine_->entry(entry);
      const auto& outputs = machine_->run(index, given, sizes);
      auto results = std::make_shared<NamedTensors>();
      for (size_t i = 0; i < outputs.size(); i++) results->emplace_back(machine_->lowering().schedules[index].outputs[i].name, machine_->toHost(outputs[i]));
      return [results](Napi::Env env) { return toJs(env, std::move(*results)); };
    });
  }

  Napi::Value run(const Napi::CallbackInfo& info) {
    Arguments arguments;
    const auto pairs = info[1].As<Napi::Array>();
    for (uint32_t i = 0; i < pairs.Length(); i++) {
      const auto pair = pairs.Get(i).As<Napi::Array>();
      const Napi::Value value = pair.Get(1U);
      ArgumentValue& argument = arguments[pair.Get(0U).As<Napi::Number>().Int64Value()];
      if (value.IsNumber()) argument = value.As<Napi::Number>().DoubleValue();
      else if (value.IsString()) argument = text(value);
      else argument = pictureFrom(value.As<Napi::Object>());
    }
    isCancelled_ = false;
    return begin(info.Env(), [this, name = text(info[0]), arguments]() -> MakeResult {
      // What it said comes before its end.
      const struct Rest {
        NativeProgram& self;
        ~Rest() {
          self.tell([&p = self](Napi::Env env, Napi::Function listener) { p.flush(env, listener); });
        }
      } rest{*this};
      const bool isWhole = runProcedure(procedureNamed(machine_->program(), name), arguments, *machine_, *this, *this);
      return [isWhole](Napi::Env env) { return Napi::Boolean::New(env, isWhole); };
    });
  }

  void cancel(const Napi::CallbackInfo&) { isCancelled_ = true; }

  /** { error }, or { tensors } by name, or one { tensor }, or nothing. */
  void answer(const Napi::CallbackInfo& info) {
    Answer answer;
    try {
      const auto given = info[0].As<Napi::Object>();
      if (given.Has("error")) answer.error = errorFrom(given.Get("error").As<Napi::Object>());
      if (given.Has("tensors")) answer.tensors = namedTensorsFrom(given.Get("tensors"));
      if (given.Has("tensor")) answer.tensors.emplace_back("", tensorFrom(given.Get("tensor")));
    } catch (const std::exception& error) {
      answer.error = std::make_exception_ptr(std::runtime_error(error.what()));
    }
    const std::lock_guard lock(mutex_);
    answer_ = std::move(answer);
    changed_.notify_all();
  }

  Napi::Value getState(const Napi::CallbackInfo& info) {
    return begin(info.Env(), [this, name = text(info[0])]() -> MakeResult {
      auto value = std::make_shared<HostTensor>(machine_->getState(name));
      return [value](Napi::Env env) { return toJs(env, std::move(*value)); };
    });
  }

  Napi::Value setState(const Napi::CallbackInfo& info) {
    return begin(info.Env(), [this, name = text(info[0]), value = tensorFrom(info[1])]() -> MakeResult {
      machine_->setState(name, value);
      return [](Napi::Env env) { return env.Undefined(); };
    });
  }

  /** What happened so far, as JSON. */
  Napi::Value trace(const Napi::CallbackInfo& info) {
    return begin(info.Env(), [this]() -> MakeResult { return [json = trace_.json()](Napi::Env env) { return Napi::String::New(env, json); }; });
  }

  /** When it resolves, the program's memory is free and its thread has ended. */
  Napi::Value close(const Napi::CallbackInfo& info) {
    return begin(info.Env(), [this]() -> MakeResult {
      machine_.reset();
      device_.reset();
      file_.reset();
      return [this](Napi::Env env) {
        stop();
        return env.Undefined();
      };
    });
  }

  static std::string text(const Napi::Value& value) { return value.As<Napi::String>().Utf8Value(); }

  /** A promise for what the job makes. While there are jobs, the process stays alive and so does this object. */
  Napi::Value begin(Napi::Env env, std::function<MakeResult()> job) {
    auto deferred = std::make_shared<Napi::Promise::Deferred>(env);
    if (pending_++ == 0) {
      toJavaScript_.Ref(env);
      Ref();
    }
    const std::lock_guard lock(mutex_);
    jobs_.push_back([this, deferred, work = std::move(job)] {
      MakeResult result;
      std::exception_ptr failure;
      try {
        result = work();
        requireValid();
      } catch (...) {
        failure = std::current_exception();
      }
      tell([this, deferred, result, failure](Napi::Env e, Napi::Function) {
        const bool isLast = --pending_ == 0;
        if (isLast) toJavaScript_.Unref(e);
        if (failure) deferred->Reject(toJs(e, failure));
        else deferred->Resolve(result(e));
        if (isLast) Unref();
      });
    });
    changed_.notify_all();
    return deferred->Promise();
  }

  /** Throws what the validation layers said first. */
  void requireValid() {
    if (objections_.empty()) return;
    const auto all = std::exchange(objections_, {});
    throw Error({.code = "GPU007", .message = "Vulkan's validation layers object", .found = all[0] + (all.size() > 1 ? "; and " + std::to_string(all.size() - 1) + " more" : ""),
        .hint = "this is a fault of Sluice or of a driver: what is computed may be wrong"});
  }

  /** When the environment ends, which is before it takes no more messages. */
  static void stopped(void* self) { static_cast<NativeProgram*>(self)->stop(); }

  /** Ends the thread at the next call between two entries, without the jobs that wait. */
  void stop() {
    if (!thread_.joinable()) return;
    isCancelled_ = true;
    {
      const std::lock_guard lock(mutex_);
      isStopped_ = true;
      changed_.notify_all();
    }
    thread_.join();
  }

  // The program's thread

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return isStopped_ || !jobs_.empty(); });
      if (isStopped_) break;
      const auto job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      job();
      lock.lock();
    }
    lock.unlock();
    machine_.reset();
    device_.reset();
    toJavaScript_.Release();
  }

  template <typename Work>
  void tell(Work&& work) { toJavaScript_.NonBlockingCall(std::forward<Work>(work)); }

  /** Asks JavaScript for an effect and waits for its answer. */
  NamedTensors ask(std::function<Napi::Object(Napi::Env)> effect) {
    tell([effect = std::move(effect)](Napi::Env env, Napi::Function listener) { listener.Call({Napi::String::New(env, "ask"), effect(env)}); });
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return isStopped_ || answer_; });
    if (!answer_) throw std::runtime_error("the program was stopped while it waited for a file");
    Answer answer = std::move(*answer_);
    answer_.reset();
    if (answer.error) std::rethrow_exception(answer.error);
    return std::move(answer.tensors);
  }
  static Napi::Object effectOf(Napi::Env env, const char* kind, const std::string& path) {
    auto effect = Napi::Object::New(env);
    effect.Set("kind", kind);
    effect.Set("path", path);
    return effect;
  }

  void write(const std::string& path, const HostTensor& tensor) override {
    ask([path, tensor](Napi::Env env) {
      auto effect = effectOf(env, "write", path);
      effect.Set("tensor", toJs(env, tensor));
      return effect;
    });
  }
  void save(const std::string& path, const NamedTensors& tensors) override {
    ask([path, tensors](Napi::Env env) {
      auto effect = effectOf(env, "save", path);
      effect.Set("tensors", toJs(env, tensors));
      return effect;
    });
  }
  std::vector<HostTensor> find(const char* kind, const std::string& path, const std::vector<WantedTensor>& wanted) {
    NamedTensors found = ask([kind, path, wanted](Napi::Env env) {
      auto list = Napi::Array::New(env, wanted.size());
      for (uint32_t i = 0; i < wanted.size(); i++) {
        auto w = Napi::Object::New(env);
        w.Set("name", wanted[i].name);
        w.Set("dtype", std::string(name(wanted[i].dtype)));
        auto shape = Napi::Array::New(env, wanted[i].shape.size());
        for (uint32_t axis = 0; axis < wanted[i].shape.size(); axis++) shape.Set(axis, static_cast<double>(wanted[i].shape[axis]));
        w.Set("shape", shape);
        list.Set(i, w);
      }
      auto effect = effectOf(env, kind, path);
      effect.Set("wanted", list);
      return effect;
    });
    std::vector<HostTensor> tensors;
    for (const WantedTensor& w : wanted) {
      const auto at = std::find_if(found.begin(), found.end(), [&](const auto& pair) { return pair.first == w.name; });
      if (at == found.end()) throw std::logic_error("a file was read without a tensor that is wanted");
      tensors.push_back(at->second);
    }
    return tensors;
  }
  std::vector<HostTensor> load(const std::string& path, const std::vector<WantedTensor>& wanted) override { return find("load", path, wanted); }
  std::vector<HostTensor> read(const std::string& path, const std::vector<WantedTensor>& wanted) override { return find("read", path, wanted); }
  HostTensor pixels(const PictureSource& picture, DType dtype, std::optional<std::array<int64_t, 2>> resize) override {
    NamedTensors found = ask([picture, dtype, resize](Napi::Env env) {
      auto effect = Napi::Object::New(env);
      effect.Set("kind", "pixels");
      effect.Set("picture", toJs(env, picture));
      effect.Set("dtype", std::string(name(dtype)));
      if (resize) {
        auto size = Napi::Array::New(env, 2);
        size.Set(0U, static_cast<double>((*resize)[0]));
        size.Set(1U, static_cast<double>((*resize)[1]));
        effect.Set("resize", size);
      }
      return effect;
    });
    if (found.size() != 1) throw std::logic_error("a picture was read without its pixels");
    return std::move(found[0].second);
  }

  void row(Row row) override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return isStopped_ || rows_.size() < ROWS; });
    rows_.push_back(std::move(row));
    flushLater();
  }
  void progress(double done, double total) override {
    const std::lock_guard lock(mutex_);
    progress_ = {done, total};
    flushLater();
  }
  bool cancelled() override { return isCancelled_; }

  /** Under the mutex. One message carries all that has come when JavaScript takes it, and there is one in each turn of its loop. */
  void flushLater() {
    if (isFlushing_) return;
    isFlushing_ = true;
    tell([this](Napi::Env env, Napi::Function listener) { flush(env, listener); });
  }
  /** On JavaScript's thread. */
  void flush(Napi::Env env, Napi::Function listener) {
    std::vector<Row> rows;
    std::optional<std::pair<double, double>> progress;
    {
      const std::lock_guard lock(mutex_);
      rows.swap(rows_);
      progress.swap(progress_);
      changed_.notify_all();
    }
    Napi::Value both = env.Null();
    if (progress) {
      auto pair = Napi::Array::New(env, 2);
      pair.Set(0U, progress->first);
      pair.Set(1U, progress->second);
      both = pair;
    }
    listener.Call({Napi::String::New(env, "rows"), toJs(env, std::move(rows)), both});
  }
  /** JavaScript has had a turn since the last rows. */
  void taken(const Napi::CallbackInfo&) {
    const std::lock_guard lock(mutex_);
    isFlushing_ = false;
    if (!rows_.empty() || progress_) flushLater();
  }

  std::unique_ptr<std::byte, Free> file_;
  size_t length_ = 0;
  std::string target_;
  int threads_ = 1;
  bool checkNan_ = false;
  bool isTraced_ = false;
  bool isValidated_ = false;
  /** What the validation layers said since the last job. */
  std::vector<std::string> objections_;
  std::vector<std::pair<std::string, int64_t>> dims_;
  Napi::ThreadSafeFunction toJavaScript_;
  int pending_ = 0;

  // The program's thread alone.
  Container container_;
  Trace trace_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<Machine> machine_;

  std::atomic<bool> isCancelled_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  // Under the mutex.
  std::deque<std::function<void()>> jobs_;
  std::optional<Answer> answer_;
  std::vector<Row> rows_;
  std::optional<std::pair<double, double>> progress_;
  bool isFlushing_ = false;
  bool isStopped_ = false;

  std::thread thread_;
};

}  // namespace
}  // namespace sluice::node

static Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("NativeProgram", sluice::node::NativeProgram::define(env));
  exports.Set("vulkanDevices", Napi::Function::New(env, sluice::node::vulkanDevices));
  exports.Set("cudaDevices", Napi::Function::New(env, sluice::node::cudaDevices));
  return exports;
}
NODE_API_MODULE(sluice, init)
