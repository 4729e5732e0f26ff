#include "device/vulkan-tape.h"

#include <algorithm>
#include <utility>

namespace sluice {
namespace {

constexpr int64_t ARGUMENT_CHUNK = 16 << 10;
constexpr int64_t MOST_WORKGROUPS = static_cast<int64_t>(WORKGROUPS_X * WORKGROUPS_X);

}  // namespace

/** Makes the steps of one kind of run. */
class VulkanTape::Writer {
 public:
  Writer(VulkanTape& tape, bool isTraced) : tape_(tape), gpu_(tape.home_.gpu), isTraced_(isTraced), hasClock_(gpu_.adapter.families[gpu_.compute.family].timestampValidBits > 0) {}

  std::vector<Step> write() {
    std::vector<Step> steps;
    addAll(tape_.commands_, steps);
    close(steps);
    return steps;
  }

 private:
  void addAll(const std::vector<Command>& commands, std::vector<Step>& into) {
    for (const Command& c : commands) std::visit([&](const auto& command) { add(command, into); }, c.as);
  }

  void add(const LaunchCommand& c, std::vector<Step>& into) {
    std::vector<Range> reads;
    std::vector<Range> writes;
    for (const Operand& o : c.operands) (o.isWritten ? writes : reads).push_back(o.range);
    if (c.scratch > 0) writes.push_back(*tape_.scratch_);
    timed(c.label, 0, into, [&](Recorder& recorder) {
      const VkPipeline pipeline = tape_.module_.pipeline(c.kernel);
      recorder.touch(reads, writes);
      const auto& dispatches = tape_.dispatches_.at(&c);
      for (size_t i = 0; i < dispatches.size(); i++) {
        // They share their scratch memory.
        if (i > 0 && c.scratch > 0) recorder.barrier();
        recorder.launch(pipeline, tape_.home_.pipelines.layout(), dispatches[i].arguments, dispatches[i].workgroups);
      }
    });
  }
  void add(const CopyCommand& c, std::vector<Step>& into) {
    timed(c.label, c.from.bytes, into, [&](Recorder& recorder) { recorder.copy(tape_.home_.memory, c.from, tape_.home_.memory, c.to); });
  }
  void add(const LoopCommand& c, std::vector<Step>& into) {
    if (isWrittenOut(c)) {
      for (int64_t trip = 0; trip < c.trips; trip++) {
        open().fill(tape_.home_.memory, c.index, static_cast<int32_t>(trip));
        addAll(c.body, into);
      }
      return;
    }
    close(into);
    Loop loop{c.trips, c.index, c.until, {}};
    addAll(c.body, loop.body);
    close(loop.body);
    into.push_back({std::move(loop)});
  }
  void add(const EffectCommand& c, std::vector<Step>& into) {
    close(into);
    into.push_back({c});
  }

  template <typename Work>
  void timed(LabelId label, int64_t bytes, std::vector<Step>& into, Work&& work) {
    Recorder& recorder = open();
    if (!isTraced_) return work(recorder);
    const auto first = static_cast<uint32_t>(2 * segment_.timed.size());
    segment_.timed.push_back({label, bytes});
    recorder.barrier();
    if (segment_.queries != VK_NULL_HANDLE) gpu_.vk.vkCmdWriteTimestamp(recorder.commands(), VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, segment_.queries, first);
    work(recorder);
    if (segment_.queries != VK_NULL_HANDLE) gpu_.vk.vkCmdWriteTimestamp(recorder.commands(), VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, segment_.queries, first + 1);
    if (!hasClock_ || segment_.timed.size() == TIMED) close(into);
  }

  Recorder& open() {
    if (recorder_) return *recorder_;
    const VkCommandBufferAllocateInfo info{.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO, .commandPool = tape_.pool_, .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY, .commandBufferCount = 1};
    gpu_.check(gpu_.vk.vkAllocateCommandBuffers(gpu_.device, &info, &segment_.commands), "make a command buffer");
    recorder_.emplace(gpu_, segment_.commands, gpu_.compute.family, VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT);
    if (isTraced_ && hasClock_) {
      const VkQueryPoolCreateInfo queries{.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO, .queryType = VK_QUERY_TYPE_TIMESTAMP, .queryCount = 2 * TIMED};
      gpu_.check(gpu_.vk.vkCreateQueryPool(gpu_.device, &queries, nullptr, &segment_.queries), "make a query pool");
      tape_.queryPools_.push_back(segment_.queries);
      gpu_.vk.vkCmdResetQueryPool(segment_.commands, segment_.queries, 0, 2 * TIMED);
    }
    return *recorder_;
  }
  void close(std::vector<Step>& into) {
    if (!recorder_) return;
    recorder_->end();
    recorder_.reset();
    into.push_back({std::exchange(segment_, Segment{})});
  }

  /** Commands that one segment times. */
  static constexpr uint32_t TIMED = 128;

  VulkanTape& tape_;
  const Gpu& gpu_;
  const bool isTraced_;
  const bool hasClock_;
  std::optional<Recorder> recorder_;
  Segment segment_;
};

VulkanTape::VulkanTape(const TapeHome& home, const VulkanModule& module, std::vector<Command> commands) : home_(home), module_(module), commands_(std::move(commands)) {
  measure(commands_);
  const VkCommandPoolCreateInfo info{.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO, .queueFamilyIndex = home_.gpu.compute.family};
  home_.gpu.check(home_.gpu.vk.vkCreateCommandPool(home_.gpu.device, &info, nullptr, &pool_), "make a command pool");
}

VulkanTape::~VulkanTape() {
  if (lastRun.stream != nullptr) {
    try {
      lastRun.stream->await(lastRun.moment);
    } catch (const std::exception&) {
      // A device that was lost runs nothing any more.
    }
  }
  for (const VkQueryPool p : queryPools_) home_.gpu.vk.vkDestroyQueryPool(home_.gpu.device, p, nullptr);
  home_.gpu.vk.vkDestroyCommandPool(home_.gpu.device, pool_, nullptr);
  for (const Range& r : arguments_) home_.arguments.release(r);
}

void VulkanTape::measure(const std::vector<Command>& commands) {
  for (const Command& c : commands) {
    if (const auto* loop = std::get_if<LoopCommand>(&c.as)) measure(loop->body);
    if (const auto* launch = std::get_if<LaunchCommand>(&c.as)) scratchBytes_ = std::max(scratchBytes_, scratchStride(*launch) * tasksAtOnce(*launch, module_.kernel(launch->kernel).tasks, MOST_WORKGROUPS));
  }
}

void VulkanTape::prepare(std::shared_ptr<const Range> scratch) {
  scratch_ = std::move(scratch);
  prepare(commands_);
  plain_ = Writer(*this, false).write();
}
void VulkanTape::prepare(const std::vector<Command>& commands) {
  for (const Command& c : commands) {
    if (const auto* loop = std::get_if<LoopCommand>(&c.as)) prepare(loop->body);
    if (const auto* launch = std::get_if<LaunchCommand>(&c.as)) prepare(*launch);
  }
}
void VulkanTape::prepare(const LaunchCommand& launch) {
  const VulkanKernel& kernel = module_.kernel(launch.kernel);
  const int64_t step = tasksAtOnce(launch, kernel.tasks, MOST_WORKGROUPS);
  auto& dispatches = dispatches_[&launch];
  for (int64_t low = 0; low < launch.tasks; low += step) {
    const int64_t high = std::min(low + step, launch.tasks);
    Dispatch dispatch{0, (static_cast<uint64_t>(high - low) + kernel.tasks - 1) / kernel.tasks};
    uint64_t* word = newArguments(launch.operands.size() + launch.dims.size() + 4, dispatch.arguments);
    for (const Operand& o : launch.operands) *word++ = o.range.address;
    for (const int64_t d : launch.dims) *word++ = static_cast<uint64_t>(d);
    *word++ = static_cast<uint64_t>(low);
    *word++ = static_cast<uint64_t>(high);
    *word++ = launch.scratch > 0 ? scratch_->address : 0;
    *word++ = static_cast<uint64_t>(scratchStride(launch));
    dispatches.push_back(dispatch);
  }
}

uint64_t* VulkanTape::newArguments(size_t words, uint64_t& address) {
  const auto bytes = static_cast<int64_t>(words * sizeof(uint64_t));
  if (bytes > left_) {
    left_ = std::max(bytes, ARGUMENT_CHUNK);
    arguments_.push_back(home_.arguments.allocate(left_, "the arguments of kernels"));
  }
  const Range& chunk = arguments_.back();
  const Range range{chunk.address + static_cast<uint64_t>(chunk.bytes - left_), bytes};
  left_ -= bytes;
  address = range.address;
  return reinterpret_cast<uint64_t*>(home_.arguments.place(range).mapped);
}

const std::vector<VulkanTape::Step>& VulkanTape::steps(bool isTraced) {
  if (!isTraced) return *plain_;
  if (!traced_) traced_ = Writer(*this, true).write();
  return *traced_;
}

}  // namespace sluice
