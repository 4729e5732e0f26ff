// A small program made by hand, as a container's bytes: what the native tests read, damage, bind and run. Its kernels are in
// sample-kernels.c. Files have pages of their own, so that a sanitizer sees every read outside them.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "container/read.h"

namespace sluice::test {

using Json = nlohmann::json;

inline std::string bytesOfFile(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/** A container with this header, to which the sections are added, and these contents. */
inline std::vector<std::byte> containerFile(Json header, const std::vector<std::string>& contents) {
  const auto crc = [](const std::string& s) { return crc32c({reinterpret_cast<const std::byte*>(s.data()), s.size()}); };
  const auto padded = [](std::string s) {
    s.resize((s.size() + 4095) / 4096 * 4096);
    return s;
  };
  header["sections"] = Json::array();
  for (size_t i = 0; i < contents.size(); i++) {
    header["sections"].push_back({{"name", i == 0 ? "constants" : i == 1 ? "kernels" : "module" + std::to_string(i - 2)}, {"bytes", contents[i].size()}, {"crc", crc(contents[i])}});
  }
  const std::string text = header.dump();
  std::string file = std::string("\x89SLX\r\n\x1a\n", 8) + std::string(24, '\0') + text;
  file = padded(std::move(file));
  for (const std::string& c : contents) file += padded(c);
  const auto put = [&](size_t at, auto value) { std::memcpy(file.data() + at, &value, sizeof value); };
  put(8, uint32_t{3});
  put(12, static_cast<uint32_t>(text.size()));
  put(16, static_cast<uint64_t>(file.size()));
  put(24, crc(text));
  put(28, crc(file.substr(0, 28)));
  std::vector<std::byte> bytes(file.size());
  std::memcpy(bytes.data(), file.data(), file.size());
  return bytes;
}

inline Json sampleHeader() {
  return Json::parse(R"({
    "program": {
      "name": "sample",
      "dims": [{"name": "N", "binding": "call", "min": 1, "max": 3000000000, "multipleOf": 1}, {"name": "C", "binding": "instance", "min": 1, "max": 64, "multipleOf": 1}],
      "states": [
        {"name": "counter", "type": {"dtype": "f32", "shape": [4], "axes": [null]}, "init": "counter.init", "span": {"file": "sample.ts", "line": 2, "column": 1}},
        {"name": "unset", "type": {"dtype": "f32", "shape": [{"sum": [[1, "C"]]}], "axes": [null]}, "init": null, "span": {"file": "sample.ts", "line": 7, "column": 1}}
      ],
      "constants": [{"dtype": "f32", "shape": [4]}],
      "procedures": [
        {"name": "train", "slots": 6, "args": [{"name": "steps", "kind": "int", "help": "how many", "init": 3, "slot": 0}, {"name": "to", "kind": "file", "help": "weights", "slot": 4}], "body": [
          {"kind": "list_new", "list": 5, "dtype": "f32"},
          {"kind": "repeat", "count": {"kind": "slot", "slot": 0}, "index": 1, "body": [
            {"kind": "call", "entry": "count", "inputs": [], "sizes": [], "outputs": [{"name": "value", "slot": 2}], "span": {"file": "sample.ts", "line": 40, "column": 3}},
            {"kind": "call", "entry": "total", "inputs": [{"name": "x", "tensor": 2}], "sizes": [], "outputs": [{"name": "sum", "slot": 3}], "span": null},
            {"kind": "log", "values": [{"name": "sum", "value": {"kind": "slot", "slot": 3}}]},
            {"kind": "list_push", "list": 5, "value": {"scalar": {"kind": "slot", "slot": 3}}}]},
          {"kind": "emit", "name": "last", "value": {"tensor": 2}},
          {"kind": "emit", "name": "note", "value": {"text": ["after ", {"number": {"kind": "list_length", "list": 5}}, " steps"]}},
          {"kind": "save", "path": [{"slot": 4}], "states": [{"name": "c", "state": "counter"}], "span": {"file": "sample.ts", "line": 42, "column": 3}}]},
        {"name": "resume", "slots": 1, "args": [{"name": "from", "kind": "file", "help": "", "slot": 0}], "body": [
          {"kind": "load", "path": [{"slot": 0}], "states": [{"name": "c", "state": "counter"}], "span": {"file": "sample.ts", "line": 50, "column": 3}}]},
        {"name": "forever", "slots": 2, "args": [], "body": [{"kind": "while", "condition": {"kind": "const", "value": 1}, "body": [
          {"kind": "call", "entry": "count", "inputs": [], "sizes": [], "outputs": [{"name": "value", "slot": 0}]},
          {"kind": "log", "values": [{"name": "tick", "value": {"kind": "seconds"}}]}]}]}
      ],
      "lowerings": [{"machine": "v3", "kernels": [
        {"name": "double", "params": [{"name": "x", "access": "read"}, {"name": "y", "access": "write"}], "dims": ["N"], "line": 10},
        {"name": "sum", "params": [{"name": "x", "access": "read"}, {"name": "y", "access": "write", "shape": []}], "dims": ["N"], "line": 11},
        {"name": "increment", "params": [{"name": "s", "access": "readwrite", "shape": [4]}], "dims": [], "line": 12},
        {"name": "root", "params": [{"name": "x", "access": "read"}, {"name": "y", "access": "write"}], "dims": ["N"], "line": 13},
        {"name": "enough", "params": [{"name": "i", "access": "read", "dtype": "i32", "shape": []}, {"name": "flag", "access": "write", "dtype": "bool", "shape": []}], "dims": [], "line": 14},
        {"name": "ten", "params": [{"name": "y", "access": "write", "shape": [4]}], "dims": [], "line": 15}
      ], "schedules": [
        {"entry": "double", "dims": ["N"], "inputs": [["x", ["N"], 0]], "outputs": [["y", ["N"], 1]], "buffers": [["N"], ["N"]], "steps": [[0, [0, 1], "N"]]},
        {"entry": "total", "dims": ["N"], "inputs": [["x", ["N"], 0]], "outputs": [["sum", [], 1]], "buffers": [["N"], []], "steps": [[1, [0, 1], 1]]},
        {"entry": "root", "dims": ["N"], "inputs": [["x", ["N"], 0]], "outputs": [["y", ["N"], 1]], "buffers": [["N"], ["N"]],
          "steps": [[3, [0, 1], "N"], {"kind": "print", "buffer": 1, "label": "roots", "span": null}]},
        {"entry": "counter.init", "outputs": [["value", [4], 0]], "buffers": [[4]], "steps": [[5, [0], 4]], "span": {"file": "sample.ts", "line": 2, "column": 1}},
        {"entry": "constant", "outputs": [["value", [4], 1]], "buffers": [{"constant": 0}, [4]], "steps": [{"kind": "copy", "from": 0, "to": 1}]},
        {"entry": "count", "reads": ["counter"], "writes": ["counter"], "outputs": [["value", [4], 1]], "buffers": [{"state": "counter"}, [4]],
          "steps": [[2, [0], 4, {"file": "sample.ts", "line": 19, "column": 3}], {"kind": "copy", "from": 0, "to": 1, "span": {"file": "sample.ts", "line": 20, "column": 3}}]},
        {"entry": "loop", "reads": ["counter"], "writes": ["counter"], "outputs": [["value", [4], 1]],
          "buffers": [{"state": "counter"}, [4], {"dtype": "i32", "shape": []}, {"dtype": "bool", "shape": []}],
          "steps": [{"kind": "loop", "trips": 100, "index": 2, "until": 3, "body": [[2, [0], 4], [4, [2, 3], 1]]}, {"kind": "copy", "from": 0, "to": 1}]},
        {"entry": "fails", "reads": ["counter"], "writes": ["counter"], "inputs": [["ok", [], 1, "bool"]], "buffers": [{"state": "counter"}, {"dtype": "bool", "shape": []}],
          "steps": [[2, [0], 4], {"kind": "assert", "buffer": 1, "message": "ok must hold", "span": {"file": "sample.ts", "line": 30, "column": 5}}]},
        {"entry": "needs_unset", "reads": ["unset"], "buffers": [{"state": "unset"}], "steps": []}
      ]}]
    },
    "modules": [{"kind": "cpu", "lowering": 0, "level": "v3", "features": [], "scratch": [16, 0, 0, 0, 0, 0]}]
  })");
}

/** Spans as a container has them: numbers of rows in a table. */
inline Json withoutSpans(const Json& json, Json& table) {
  if (json.is_object() && json.contains("file")) {
    const Json row = {json["file"], json["line"], json["column"]};
    const auto known = std::find(table.begin(), table.end(), row);
    const auto number = known - table.begin();
    if (known == table.end()) table.push_back(row);
    return number;
  }
  if (!json.is_structured()) return json;
  Json out = json;
  for (Json& item : out) item = withoutSpans(item, table);
  return out;
}

/** The sample's kernels, schedules and buffers are written in short above: this is what stands for them. */
inline Json expanded(Json header) {
  const Json n = {{"sum", {{1, "N"}}}};
  const Json dimN = {{"name", "N"}, {"binding", "call"}, {"min", 1}, {"max", 3000000000}, {"multipleOf", 1}};
  const auto size = [&](const Json& s) { return s == "N" ? n : s; };
  const auto shape = [&](const Json& list) {
    Json out = Json::array();
    for (const Json& s : list) out.push_back(size(s));
    return out;
  };
  const auto dims = [&](const Json& list) {
    Json out = Json::array();
    for (size_t i = 0; i < list.size(); i++) out.push_back(dimN);
    return out;
  };
  const auto port = [&](const Json& p) {
    Json axes = Json::array();
    for (size_t i = 0; i < p[1].size(); i++) axes.push_back(nullptr);
    return Json{{"name", p[0]}, {"type", {{"dtype", p.size() > 3 ? p[3] : Json("f32")}, {"shape", shape(p[1])}, {"axes", axes}}}, {"buffer", p[2]}};
  };
  const std::function<Json(const Json&)> step = [&](const Json& s) {
    Json out = s;
    if (s.is_array()) {
      out = {{"kind", "launch"}, {"kernel", s[0]}, {"buffers", s[1]}, {"tasks", size(s[2])}};
      out["spans"] = Json::array({s.size() > 3 ? s[3] : Json{{"file", "sample.ts"}, {"line", 10 + s[0].get<int>()}, {"column", 3}}});
    }
    if (out.contains("body")) {
      out["body"] = Json::array();
      for (const Json& b : s["body"]) out["body"].push_back(step(b));
    }
    return out;
  };
  Json& lowering = header["program"]["lowerings"][0];
  for (Json& k : lowering["kernels"]) {
    for (Json& p : k["params"]) {
      p["shape"] = shape(p.value("shape", Json::array({"N"})));
      p["dtype"] = p.value("dtype", "f32");
      p.update({{"lanes", 1}, {"swizzle", 0}, {"space", "global"}});
    }
    k["dims"] = dims(k["dims"]);
    k["summary"] = k["name"];
    k.erase("line");
  }
  for (Json& s : lowering["schedules"]) {
    Json buffers = Json::array();
    // Each in a slot of its own, with the space that N floats take.
    Json slots = Json::array();
    for (const Json& b : s["buffers"]) {
      if (b.contains("state")) buffers.push_back({{"dtype", "f32"}, {"shape", {b["state"] == "unset" ? Json{{"sum", {{1, "C"}}}} : Json(4)}}, {"place", {{"kind", "state"}, {"name", b["state"]}}}});
      else if (b.contains("constant")) buffers.push_back({{"dtype", "f32"}, {"shape", {4}}, {"place", {{"kind", "constant"}, {"index", b["constant"]}}}});
      else {
        const bool isPlain = b.is_array();
        buffers.push_back({{"dtype", isPlain ? Json("f32") : b["dtype"]}, {"shape", shape(isPlain ? b : b["shape"])}, {"place", {{"kind", "slot"}, {"slot", slots.size()}}}});
        slots.push_back(s.contains("dims") ? Json{{"sum", {{64, {"floordiv", {{"sum", {{4, "N"}, {63}}}}, 64}}}}} : Json(64));
      }
    }
    s["slots"] = slots;
    s["buffers"] = buffers;
    s["dims"] = dims(s.value("dims", Json::array()));
    for (const char* key : {"inputs", "outputs"}) {
      Json ports = Json::array();
      for (const Json& p : s.value(key, Json::array())) ports.push_back(port(p));
      s[key] = ports;
    }
    for (const char* key : {"reads", "writes"}) s[key] = s.value(key, Json::array());
    Json steps = Json::array();
    for (const Json& each : s["steps"]) steps.push_back(step(each));
    s["steps"] = steps;
  }
  Json spans = Json::array();
  header = withoutSpans(header, spans);
  header["spans"] = spans;
  return header;
}

/** The sample as a file, with its header changed by `edit` and the code of its module. */
inline std::vector<std::byte> sampleFile(const std::function<void(Json&)>& edit = [](Json&) {}, const std::string& code = bytesOfFile(SAMPLE_KERNELS)) {
  Json header = expanded(sampleHeader());
  edit(header);
  const float constant[] = {1, 2, 3, 4};
  return containerFile(header, {std::string(reinterpret_cast<const char*>(constant), sizeof constant), "[[]]", code});
}

/** The schedule of an entry, to be changed. */
inline Json& scheduleOf(Json& header, const std::string& entry) {
  for (Json& s : header["program"]["lowerings"][0]["schedules"])
    if (s["entry"] == entry) return s;
  throw std::runtime_error("the sample has no entry " + entry);
}

/** The text of the Error that the work throws. */
template <typename Work>
std::string messageOf(Work&& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was refused";
}

}  // namespace sluice::test
