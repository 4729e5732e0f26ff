#include "device/vulkan-stream.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace sluice {
namespace {

/** Command buffers that are handed over at once. */
constexpr size_t QUEUED = 64;
/** Command buffers for one use beyond which the host waits for the device. */
constexpr size_t BUSY = 256;
/** What parts of mapped memory are multiples of. */
constexpr int64_t STAGING_ALIGNMENT = 64;

}  // namespace

VulkanStream::Staging::~Staging() {
  for (const Slot& s : slots)
    if (s.range.address != 0) memory.release(s.range);
}

VulkanStream::VulkanStream(const Gpu& gpu, const VulkanQueue& queue, const VulkanMemory& memory, VulkanMemory& uploads, VulkanMemory& downloads)
    : gpu_(gpu), queue_(queue), memory_(memory), clock_(gpu), uploads_{uploads}, downloads_{downloads} {
  const VkSemaphoreTypeCreateInfo type{.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO, .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE};
  const VkSemaphoreCreateInfo semaphore{.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, .pNext = &type};
  gpu_.check(gpu_.vk.vkCreateSemaphore(gpu_.device, &semaphore, nullptr, &timeline_), "make a semaphore");
  const VkCommandPoolCreateInfo pool{.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO, .flags = VK_COMMAND_POOL_CREATE_TRANSIENT_BIT | VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
      .queueFamilyIndex = queue.family};
  gpu_.check(gpu_.vk.vkCreateCommandPool(gpu_.device, &pool, nullptr, &pool_), "make a command pool");
}

VulkanStream::~VulkanStream() {
  drop();
  gpu_.vk.vkQueueWaitIdle(queue_.queue);
  gpu_.vk.vkDestroyCommandPool(gpu_.device, pool_, nullptr);
  gpu_.vk.vkDestroySemaphore(gpu_.device, timeline_, nullptr);
}

// Command buffers

Recorder& VulkanStream::open() {
  if (open_) return *open_;
  gpu_.requirePresent();
  if (busy_.size() >= BUSY) await(busy_.front().moment);
  for (const Moment moment = now(); !busy_.empty() && busy_.front().moment <= moment; busy_.pop_front()) idle_.push_back(busy_.front().commands);
  VkCommandBuffer commands = VK_NULL_HANDLE;
  if (idle_.empty()) {
    const VkCommandBufferAllocateInfo info{.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO, .commandPool = pool_, .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY, .commandBufferCount = 1};
    gpu_.check(gpu_.vk.vkAllocateCommandBuffers(gpu_.device, &info, &commands), "make a command buffer");
  } else {
    commands = idle_.back();
    idle_.pop_back();
  }
  return open_.emplace(gpu_, commands, queue_.family, VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT);
}

void VulkanStream::close() {
  if (!open_) return;
  const VkCommandBuffer commands = open_->commands();
  open_->end();
  open_.reset();
  queued_.push_back(commands);
  busy_.push_back({commands, last_ + 1});
}

void VulkanStream::enqueue(VkCommandBuffer commands) {
  close();
  queued_.push_back(commands);
  if (queued_.size() >= QUEUED) flush();
}

void VulkanStream::flush() {
  gpu_.requirePresent();
  close();
  if (queued_.empty() && waits_.empty()) return;
  std::vector<VkSemaphore> semaphores;
  std::vector<Moment> moments;
  for (const Wait& w : waits_) {
    semaphores.push_back(w.semaphore);
    moments.push_back(w.moment);
  }
  const std::vector<VkPipelineStageFlags> stages(waits_.size(), VK_PIPELINE_STAGE_ALL_COMMANDS_BIT);
  const Moment next = last_ + 1;
  const VkTimelineSemaphoreSubmitInfo values{.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO, .waitSemaphoreValueCount = static_cast<uint32_t>(moments.size()),
      .pWaitSemaphoreValues = moments.data(), .signalSemaphoreValueCount = 1, .pSignalSemaphoreValues = &next};
  const VkSubmitInfo info{.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .pNext = &values, .waitSemaphoreCount = static_cast<uint32_t>(semaphores.size()), .pWaitSemaphores = semaphores.data(),
      .pWaitDstStageMask = stages.data(), .commandBufferCount = static_cast<uint32_t>(queued_.size()), .pCommandBuffers = queued_.data(), .signalSemaphoreCount = 1, .pSignalSemaphores = &timeline_};
  gpu_.check(gpu_.vk.vkQueueSubmit(queue_.queue, 1, &info, VK_NULL_HANDLE), "take work");
  last_ = next;
  queued_.clear();
  waits_.clear();
}

void VulkanStream::drop() {
  if (open_) {
    gpu_.vk.vkEndCommandBuffer(open_->commands());
    idle_.push_back(open_->commands());
    open_.reset();
  }
  for (; !busy_.empty() && busy_.back().moment > last_; busy_.pop_back()) idle_.push_back(busy_.back().commands);
  while (!deliveries_.empty() && deliveries_.back().moment > last_) deliveries_.pop_back();
  queued_.clear();
}

// Moments

Moment VulkanStream::record() {
  flush();
  return last_;
}

void VulkanStream::after(const Stream& other, Moment moment) {
  if (&other == this) return;
  flush();
  waits_.push_back({dynamic_cast<const VulkanStream&>(other).timeline_, moment});
}

Moment VulkanStream::now() const {
  Moment moment = 0;
  gpu_.check(gpu_.vk.vkGetSemaphoreCounterValue(gpu_.device, timeline_, &moment), "say how far it is");
  return moment;
}

void VulkanStream::deliver(Moment moment) const {
  for (; !deliveries_.empty() && deliveries_.front().moment <= moment; deliveries_.pop_front()) std::memcpy(deliveries_.front().to, deliveries_.front().from, deliveries_.front().bytes);
}

bool VulkanStream::reached(Moment moment) const {
  gpu_.requirePresent();
  const Moment current = now();
  deliver(current);
  return current >= moment;
}

void VulkanStream::await(Moment moment) {
  gpu_.requirePresent();
  if (moment > last_) flush();
  if (moment > last_) throw std::logic_error("a moment is awaited that was not recorded");
  const VkSemaphoreWaitInfo info{.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO, .semaphoreCount = 1, .pSemaphores = &timeline_, .pValues = &moment};
  gpu_.check(gpu_.vk.vkWaitSemaphores(gpu_.device, &info, UINT64_MAX), "finish its work");
  deliver(moment);
}

// Copies

Range VulkanStream::stage(Staging& staging, int64_t bytes) {
  Staging::Slot* slot = &staging.slots[staging.current];
  if (slot->used + bytes > Staging::SLOT) {
    staging.current = (staging.current + 1) % staging.slots.size();
    slot = &staging.slots[staging.current];
    if (slot->range.address == 0) slot->range = staging.memory.allocate(Staging::SLOT, "copies between the host and the device");
    await(slot->last);
    slot->used = 0;
  }
  const Range range{slot->range.address + static_cast<uint64_t>(slot->used), bytes};
  slot->used += (bytes + STAGING_ALIGNMENT - 1) / STAGING_ALIGNMENT * STAGING_ALIGNMENT;
  slot->last = last_ + 1;
  return range;
}

void VulkanStream::copy(Range from, Range to) { open().copy(memory_, from, memory_, to); }

void VulkanStream::upload(const std::byte* from, Range to) {
  for (int64_t at = 0; at < to.bytes; at += Staging::SLOT) {
    const Range part{to.address + static_cast<uint64_t>(at), std::min(Staging::SLOT, to.bytes - at)};
    const Range staged = stage(uploads_, part.bytes);
    std::memcpy(uploads_.memory.place(staged).mapped, from + at, static_cast<size_t>(part.bytes));
    open().copy(uploads_.memory, staged, memory_, part);
    if (part.bytes == Staging::SLOT) flush();
  }
}

void VulkanStream::download(Range from, std::byte* to) {
  for (int64_t at = 0; at < from.bytes; at += Staging::SLOT) {
    const Range part{from.address + static_cast<uint64_t>(at), std::min(Staging::SLOT, from.bytes - at)};
    const Range staged = stage(downloads_, part.bytes);
    open().copy(memory_, part, downloads_.memory, staged);
    deliveries_.push_back({last_ + 1, downloads_.memory.place(staged).mapped, to + at, static_cast<size_t>(part.bytes)});
    if (part.bytes == Staging::SLOT) flush();
  }
}

// Tapes

void VulkanStream::run(Tape& tape, Effects& effects, Trace* trace) {
  if (queue_.queue != gpu_.compute.queue) throw std::logic_error("a tape runs on a stream that only copies");
  auto& t = dynamic_cast<VulkanTape&>(tape);
  try {
    walk(t.steps(trace != nullptr), effects, trace);
    flush();
  } catch (...) {
    drop();
    t.lastRun = {this, last_};
    throw;
  }
  t.lastRun = {this, last_};
}

void VulkanStream::walk(const std::vector<VulkanTape::Step>& steps, Effects& effects, Trace* trace) {
  for (const VulkanTape::Step& step : steps) {
    if (const auto* segment = std::get_if<VulkanTape::Segment>(&step.as)) {
      if (trace != nullptr) await(record());
      const int64_t begin = Trace::now();
      enqueue(segment->commands);
      if (trace == nullptr) continue;
      await(record());
      time(*segment, begin, *trace);
    } else if (const auto* effect = std::get_if<EffectCommand>(&step.as)) {
      await(record());
      effects.perform(effect->effect);
    } else {
      const auto& loop = std::get<VulkanTape::Loop>(step.as);
      for (int64_t trip = 0; trip < loop.trips; trip++) {
        open().fill(memory_, loop.index, static_cast<int32_t>(trip));
        walk(loop.body, effects, trace);
        if (!loop.until) continue;
        download(*loop.until, &loopEnd_);
        await(record());
        if (loopEnd_ != std::byte{0}) break;
      }
    }
  }
}

/** Of a segment that has run since `begin`. */
void VulkanStream::time(const VulkanTape::Segment& segment, int64_t begin, Trace& trace) const {
  std::vector<int64_t> times{begin, Trace::now()};
  if (segment.queries != VK_NULL_HANDLE) {
    std::vector<uint64_t> ticks(2 * segment.timed.size());
    gpu_.check(gpu_.vk.vkGetQueryPoolResults(gpu_.device, segment.queries, 0, static_cast<uint32_t>(ticks.size()), ticks.size() * sizeof(uint64_t), ticks.data(), sizeof(uint64_t),
                   VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT), "say when it ran what");
    times = clock_.onHost(std::move(ticks));
  }
  for (size_t i = 0; i < segment.timed.size(); i++)
    if (segment.timed[i].label != NO_LABEL) trace.add(segment.timed[i].label, times[2 * i], times[2 * i + 1], segment.timed[i].bytes);
}

}  // namespace sluice
