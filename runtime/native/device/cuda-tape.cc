#include "device/cuda-tape.h"

#include <algorithm>

namespace sluice {
namespace {

constexpr int64_t MOST_BLOCKS = INT32_MAX;
constexpr unsigned WARP = 32;

struct Block {
  unsigned threads;
  int64_t tasks;
};
/** Of few tasks that are threads, blocks are smaller, so that every multiprocessor gets some. */
Block blockOf(const LaunchCommand& launch, const CudaKernel& kernel, int multiprocessors) {
  if (kernel.tasks != kernel.threads) return {kernel.threads, kernel.tasks};
  unsigned threads = kernel.threads;
  while (threads % (2 * WARP) == 0 && launch.tasks < static_cast<int64_t>(threads) * multiprocessors) threads /= 2;
  return {threads, threads};
}

}  // namespace

void issue(const CudaGpu& gpu, const CudaLaunch& launch, CUstream stream) {
  std::vector<void*> parameters;
  for (const uint64_t& word : launch.arguments) parameters.push_back(const_cast<uint64_t*>(&word));
  gpu.check(gpu.cu.cuLaunchKernel(launch.function, launch.blocks, 1, 1, launch.threads, 1, 1, 0, stream, parameters.data(), nullptr), "launch a kernel");
}

CudaTape::CudaTape(const CudaGpu& gpu, const CudaModule& module, std::vector<Command> commands) : gpu_(gpu), module_(module), commands_(std::move(commands)) { measure(commands_); }

CudaTape::~CudaTape() {
  try {
    if (lastRun.stream != nullptr) lastRun.stream->await(lastRun.moment);
    gpu_.use();
  } catch (const std::exception&) {
    // A device that was lost runs nothing any more.
  }
}

void CudaTape::measure(const std::vector<Command>& commands) {
  for (const Command& c : commands) {
    if (const auto* loop = std::get_if<LoopCommand>(&c.as)) measure(loop->body);
    if (const auto* launch = std::get_if<LaunchCommand>(&c.as)) {
      scratchBytes_ = std::max(scratchBytes_, scratchStride(*launch) * tasksAtOnce(*launch, blockOf(*launch, module_.kernel(launch->kernel), gpu_.adapter.multiprocessors).tasks, MOST_BLOCKS));
    }
  }
}

void CudaTape::prepare(std::shared_ptr<const Range> scratch) {
  scratch_ = std::move(scratch);
  write(commands_, steps_);
}

void CudaTape::write(const std::vector<Command>& commands, std::vector<Step>& into) {
  const auto add = [&](Work work) {
    if (into.empty() || !std::holds_alternative<Stretch>(into.back().as)) into.push_back({Stretch(gpu_)});
    std::get<Stretch>(into.back().as).works.push_back(std::move(work));
  };
  for (const Command& c : commands) {
    if (const auto* launch = std::get_if<LaunchCommand>(&c.as)) {
      add({launchesOf(*launch), launch->label});
    } else if (const auto* copy = std::get_if<CopyCommand>(&c.as)) {
      add({*copy, copy->label});
    } else if (const auto* effect = std::get_if<EffectCommand>(&c.as)) {
      into.push_back({*effect});
    } else if (const auto& loop = std::get<LoopCommand>(c.as); isWrittenOut(loop)) {
      for (int64_t trip = 0; trip < loop.trips; trip++) {
        add({CudaCount{loop.index, trip}});
        write(loop.body, into);
      }
    } else {
      Loop counted{loop.trips, loop.index, loop.until, {}};
      write(loop.body, counted.body);
      into.push_back({std::move(counted)});
    }
  }
}

const std::vector<CudaLaunch>* CudaTape::launchesOf(const LaunchCommand& command) {
  const Block block = blockOf(command, module_.kernel(command.kernel), gpu_.adapter.multiprocessors);
  const int64_t step = tasksAtOnce(command, block.tasks, MOST_BLOCKS);
  auto& launches = launches_.emplace_back();
  for (int64_t low = 0; low < command.tasks; low += step) {
    const int64_t high = std::min(low + step, command.tasks);
    CudaLaunch launch{module_.function(command.kernel), static_cast<unsigned>((high - low + block.tasks - 1) / block.tasks), block.threads, {}};
    for (const Operand& o : command.operands) launch.arguments.push_back(o.range.address);
    for (const int64_t d : command.dims) launch.arguments.push_back(static_cast<uint64_t>(d));
    launch.arguments.insert(launch.arguments.end(), {static_cast<uint64_t>(low), static_cast<uint64_t>(high), command.scratch > 0 ? scratch_->address : 0, static_cast<uint64_t>(scratchStride(command))});
    launches.push_back(std::move(launch));
  }
  return &launches;
}

void CudaTape::Stretch::issue(const Work& work, CUstream stream) const {
  const CudaDriver& cu = gpu_->cu;
  if (const auto* launches = std::get_if<const std::vector<CudaLaunch>*>(&work.as)) {
    for (const CudaLaunch& l : **launches) sluice::issue(*gpu_, l, stream);
  } else if (const auto* copy = std::get_if<CopyCommand>(&work.as)) {
    if (copy->from.bytes > 0) gpu_->check(cu.cuMemcpyDtoDAsync(copy->to.address, copy->from.address, static_cast<size_t>(copy->from.bytes), stream), "copy memory");
  } else {
    const auto& count = std::get<CudaCount>(work.as);
    gpu_->check(cu.cuMemsetD32Async(count.index.address, static_cast<unsigned>(count.trip), 1, stream), "count a loop");
  }
}

void CudaTape::Stretch::run(CUstream stream) {
  // A graph of one command takes as long as the command.
  if (hasRun_ && !graph_ && works.size() > 1) capture(stream);
  if (graph_) {
    gpu_->check(gpu_->cu.cuGraphLaunch(graph_.get(), stream), "run a graph");
    return;
  }
  for (const Work& w : works) issue(w, stream);
  hasRun_ = true;
}

void CudaTape::Stretch::capture(CUstream stream) {
  const CudaDriver& cu = gpu_->cu;
  gpu_->check(cu.cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL), "record a graph");
  CUgraph graph = nullptr;
  try {
    for (const Work& w : works) issue(w, stream);
  } catch (...) {
    cu.cuStreamEndCapture(stream, &graph);
    cu.cuGraphDestroy(graph);
    throw;
  }
  gpu_->check(cu.cuStreamEndCapture(stream, &graph), "record a graph");
  CUgraphExec exec = nullptr;
  const CUresult result = cu.cuGraphInstantiateWithFlags(&exec, graph, 0);
  cu.cuGraphDestroy(graph);
  gpu_->check(result, "prepare a graph");
  graph_ = {exec, {gpu_}};
}

}  // namespace sluice
