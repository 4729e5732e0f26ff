// The sample program for CUDA, as one that tests of programs run, on the driver that needs no GPU.
#include "tests/cuda-bench.h"
#include "tests/runners.h"

using namespace sluice;
using namespace sluice::test;

namespace {

[[maybe_unused]] const bool isAdded = [] {
  allRunners().push_back({"cuda", [] { return true; }, [] {
    shimLibrary();
    return openCuda("");
  }, [](const auto& edit) {
    return sampleFile([&](Json& header) {
      const Json scratch = header["modules"][0]["scratch"];
      header["modules"] = {{{"kind", "cuda"}, {"lowering", 0}, {"architectures", {"sm_90"}}, {"scratch", scratch}}};
      header["program"]["lowerings"][0]["machine"] = "gpu";
      edit(header);
    }, cudaImage("cuda-sample", {256, 256, 256, 256, 256, 256}));
  }, [](const auto& modules) -> const ModuleInfo& { return moduleFor(modules, "cuda"); }});
  return true;
}();

}  // namespace
