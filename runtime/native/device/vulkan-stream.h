// A stream of a Vulkan device: its timeline semaphore counts what was handed to the queue, and moments are its values.
// Copies wait in an open command buffer until something must be under way. What comes from the host and goes to it passes
// through mapped memory; results reach the caller's memory when the moment after them is awaited or seen to be reached.
#pragma once
#include <volk.h>

#include <array>
#include <deque>
#include <vector>

#include "device/vulkan-clock.h"
#include "device/vulkan-memory.h"
#include "device/vulkan-recorder.h"
#include "device/vulkan-tape.h"

namespace sluice {

class VulkanStream final : public Stream {
 public:
  VulkanStream(const Gpu& gpu, const VulkanQueue& queue, const VulkanMemory& memory, VulkanMemory& uploads, VulkanMemory& downloads);
  ~VulkanStream() override;
  VulkanStream(const VulkanStream&) = delete;
  VulkanStream& operator=(const VulkanStream&) = delete;

  /** On the stream for compute. */
  void run(Tape& tape, Effects& effects, Trace* trace) override;
  void copy(Range from, Range to) override;
  void upload(const std::byte* from, Range to) override;
  void download(Range from, std::byte* to) override;
  Moment record() override;
  void after(const Stream& other, Moment moment) override;
  bool reached(Moment moment) const override;
  void await(Moment moment) override;

 private:
  /** Mapped memory that is used in turns. */
  struct Staging {
    static constexpr int64_t SLOT = int64_t{8} << 20;
    struct Slot {
      Range range;
      int64_t used = SLOT;
      /** When it can be used again. */
      Moment last = 0;
    };
    VulkanMemory& memory;
    std::array<Slot, 2> slots{};
    size_t current = 0;

    ~Staging();
  };
  /** A command buffer for one use, free again when its moment is reached. */
  struct Transient {
    VkCommandBuffer commands = VK_NULL_HANDLE;
    Moment moment = 0;
  };
  struct Delivery {
    Moment moment = 0;
    const std::byte* from = nullptr;
    std::byte* to = nullptr;
    size_t bytes = 0;
  };
  struct Wait {
    VkSemaphore semaphore = VK_NULL_HANDLE;
    Moment moment = 0;
  };

  void walk(const std::vector<VulkanTape::Step>& steps, Effects& effects, Trace* trace);
  void time(const VulkanTape::Segment& segment, int64_t begin, Trace& trace) const;
  Recorder& open();
  void close();
  void enqueue(VkCommandBuffer commands);
  void flush();
  /** Forgets what was not handed to the queue yet. */
  void drop();
  Range stage(Staging& staging, int64_t bytes);
  Moment now() const;
  void deliver(Moment moment) const;

  const Gpu& gpu_;
  const VulkanQueue queue_;
  const VulkanMemory& memory_;
  const VulkanClock clock_;
  Staging uploads_;
  Staging downloads_;
  VkSemaphore timeline_ = VK_NULL_HANDLE;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  /** The last moment that was handed to the queue. */
  Moment last_ = 0;
  std::optional<Recorder> open_;
  std::vector<VkCommandBuffer> queued_;
  std::vector<Wait> waits_;
  std::vector<VkCommandBuffer> idle_;
  std::deque<Transient> busy_;
  mutable std::deque<Delivery> deliveries_;
  /** What the loop that is running wrote after its last round. */
  std::byte loopEnd_{};
};

}  // namespace sluice
