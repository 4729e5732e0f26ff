// A Node-API module for tests: opens a shared object of compiled kernels and calls them on ArrayBuffers.
//   open(path) → handle      call(handle, name, buffers, dims, low, high, scratchBytes)
#include <dlfcn.h>
#include <node_api.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

using KernelFunction = void (*)(char *const *, const std::int64_t *, std::int64_t, std::int64_t, char *);

napi_value fail(napi_env env, const std::string &message) {
  napi_throw_error(env, nullptr, message.c_str());
  return nullptr;
}

std::string textOf(napi_env env, napi_value value) {
  std::size_t length = 0;
  napi_get_value_string_utf8(env, value, nullptr, 0, &length);
  std::string text(length, '\0');
  napi_get_value_string_utf8(env, value, text.data(), length + 1, &length);
  return text;
}

std::int64_t integerOf(napi_env env, napi_value value) {
  std::int64_t result = 0;
  napi_get_value_int64(env, value, &result);
  return result;
}

napi_value open(napi_env env, napi_callback_info info) {
  std::size_t count = 1;
  napi_value argument;
  napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr);
  void *library = dlopen(textOf(env, argument).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return fail(env, dlerror());
  napi_value handle;
  napi_create_external(env, library, nullptr, nullptr, &handle);
  return handle;
}

napi_value call(napi_env env, napi_callback_info info) {
  std::size_t count = 7;
  napi_value arguments[7];
  napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
  void *library = nullptr;
  napi_get_value_external(env, arguments[0], &library);
  const std::string name = textOf(env, arguments[1]);
  auto kernel = reinterpret_cast<KernelFunction>(dlsym(library, name.c_str()));
  if (kernel == nullptr) return fail(env, "no kernel " + name);
  std::uint32_t length = 0;
  std::vector<char *> params;
  napi_get_array_length(env, arguments[2], &length);
  for (std::uint32_t i = 0; i < length; i++) {
    napi_value buffer;
    void *data = nullptr;
    std::size_t bytes = 0;
    napi_get_element(env, arguments[2], i, &buffer);
    if (napi_get_arraybuffer_info(env, buffer, &data, &bytes) != napi_ok) return fail(env, "parameter " + std::to_string(i) + " is no ArrayBuffer");
    params.push_back(static_cast<char *>(data));
  }
  std::vector<std::int64_t> dims;
  napi_get_array_length(env, arguments[3], &length);
  for (std::uint32_t i = 0; i < length; i++) {
    napi_value dim;
    napi_get_element(env, arguments[3], i, &dim);
    dims.push_back(integerOf(env, dim));
  }
  const std::size_t scratchBytes = (static_cast<std::size_t>(integerOf(env, arguments[6])) + 127) / 64 * 64;
  char *scratch = static_cast<char *>(std::aligned_alloc(64, scratchBytes));
  std::memset(scratch, 0xa5, scratchBytes);
  kernel(params.data(), dims.data(), integerOf(env, arguments[4]), integerOf(env, arguments[5]), scratch);
  std::free(scratch);
  return nullptr;
}

napi_value init(napi_env env, napi_value exports) {
  const napi_property_descriptor properties[] = {
    {"open", nullptr, open, nullptr, nullptr, nullptr, napi_default, nullptr},
    {"call", nullptr, call, nullptr, nullptr, nullptr, napi_default, nullptr},
  };
  napi_define_properties(env, exports, 2, properties);
  return exports;
}

}  // namespace

NAPI_MODULE(native_kernels, init)
