// A tape as work for a stream. What the device does by itself between two acts of the host is a stretch: handed over command
// by command the first time, and from the second time on as a CUDA graph, in one call. A loop that is short and has no end
// of its own is written out; of others the host counts the rounds.
#pragma once
#include <deque>
#include <memory>
#include <variant>
#include <vector>

#include "device/cuda-gpu.h"
#include "device/cuda-module.h"
#include "device/tape-steps.h"

namespace sluice {

/** A part of a launch's tasks, with room for its arguments. */
struct CudaLaunch {
  CUfunction function = nullptr;
  unsigned blocks = 0;
  unsigned threads = 0;
  std::vector<uint64_t> arguments;
};
void issue(const CudaGpu& gpu, const CudaLaunch& launch, CUstream stream);

/** The index of a loop that is written out. */
struct CudaCount {
  Range index;
  int64_t trip = 0;
};

class CudaTape final : public Tape {
 public:
  /** One command. */
  struct Work {
    std::variant<const std::vector<CudaLaunch>*, CopyCommand, CudaCount> as;
    LabelId label = NO_LABEL;
  };
  class Stretch {
   public:
    explicit Stretch(const CudaGpu& gpu) : gpu_(&gpu) {}
    /** Hands all of it over. */
    void run(CUstream stream);
    void issue(const Work& work, CUstream stream) const;

    std::vector<Work> works;

   private:
    void capture(CUstream stream);

    struct Destroy {
      const CudaGpu* gpu;
      void operator()(CUgraphExec exec) const { gpu->cu.cuGraphExecDestroy(exec); }
    };
    const CudaGpu* gpu_;
    bool hasRun_ = false;
    std::unique_ptr<CUgraphExec_st, Destroy> graph_{nullptr, {nullptr}};
  };
  using Loop = TapeLoop<Stretch>;
  using Step = TapeStep<Stretch>;

  /** Of launches in this module; it is not run before `prepare`. */
  CudaTape(const CudaGpu& gpu, const CudaModule& module, std::vector<Command> commands);
  ~CudaTape() override;
  CudaTape(const CudaTape&) = delete;
  CudaTape& operator=(const CudaTape&) = delete;

  /** Bytes of scratch memory that its launches share. */
  int64_t scratchBytes() const { return scratchBytes_; }
  /** Once; the memory is kept. */
  void prepare(std::shared_ptr<const Range> scratch);
  std::vector<Step>& steps() { return steps_; }

  LastRun lastRun;

 private:
  void measure(const std::vector<Command>& commands);
  void write(const std::vector<Command>& commands, std::vector<Step>& into);
  const std::vector<CudaLaunch>* launchesOf(const LaunchCommand& command);

  const CudaGpu& gpu_;
  const CudaModule& module_;
  const std::vector<Command> commands_;
  int64_t scratchBytes_ = 0;
  std::shared_ptr<const Range> scratch_;
  /** Stays where it is. */
  std::deque<std::vector<CudaLaunch>> launches_;
  std::vector<Step> steps_;
};

}  // namespace sluice
