// What crosses between JavaScript and the runtime: tensors, pictures, rows and errors. Bytes are copied into the runtime, and
// moved out of it where there are many.
#pragma once
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <napi.h>

#include "base/error.h"
#include "base/tensor.h"
#include "host/host.h"

namespace sluice::node {

/** Of { dtype, shape, data }. Throws TypeError where the bytes are not those of the type. */
HostTensor tensorFrom(Napi::Value value);
Napi::Object toJs(Napi::Env env, HostTensor tensor);
/** [name, tensor][] */
NamedTensors namedTensorsFrom(Napi::Value pairs);
Napi::Array toJs(Napi::Env env, NamedTensors tensors);
/** [name, number][] */
std::vector<std::pair<std::string, double>> numbersFrom(Napi::Value pairs);

std::shared_ptr<const Picture> pictureFrom(Napi::Object value);
Napi::Value toJs(Napi::Env env, const PictureSource& picture);
Napi::Array toJs(Napi::Env env, std::vector<Row> rows);

/** { diagnostic } or { message }, which the TypeScript side makes an error of. */
Napi::Object toJs(Napi::Env env, const std::exception_ptr& error);
std::exception_ptr errorFrom(Napi::Object value);

}  // namespace sluice::node
