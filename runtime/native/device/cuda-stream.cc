#include "device/cuda-stream.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace sluice {
namespace {

/** What parts of pinned memory are multiples of. */
constexpr int64_t STAGING_ALIGNMENT = 64;
/** Commands that are timed between two waits. */
constexpr size_t TIMED = 128;
/** Moments that are under way, beyond which the host waits for the device. */
constexpr size_t MOMENTS = 1024;

}  // namespace

CudaStream::CudaStream(const CudaGpu& gpu) : gpu_(gpu) { gpu_.check(gpu_.cu.cuStreamCreate(&stream_, CU_STREAM_NON_BLOCKING), "make a stream"); }

CudaStream::~CudaStream() {
  // Of a device that was lost this fails, and changes nothing.
  gpu_.cu.cuStreamSynchronize(stream_);
  for (const Recorded& r : recorded_) gpu_.cu.cuEventDestroy(r.event);
  for (CUevent e : idle_) gpu_.cu.cuEventDestroy(e);
  for (CUevent e : timers_) gpu_.cu.cuEventDestroy(e);
  gpu_.cu.cuStreamDestroy(stream_);
}

// Moments

CUevent CudaStream::newEvent(unsigned flags) const {
  CUevent event = nullptr;
  gpu_.check(gpu_.cu.cuEventCreate(&event, flags), "make an event");
  return event;
}

Moment CudaStream::record() {
  gpu_.use();
  if (!isDirty_) return last_;
  if (recorded_.size() >= MOMENTS) await(recorded_.front().moment);
  CUevent event = nullptr;
  if (idle_.empty()) {
    event = newEvent(CU_EVENT_DISABLE_TIMING);
  } else {
    event = idle_.back();
    idle_.pop_back();
  }
  recorded_.push_back({last_ + 1, event});
  gpu_.check(gpu_.cu.cuEventRecord(event, stream_), "record an event");
  isDirty_ = false;
  return ++last_;
}

void CudaStream::after(const Stream& other, Moment moment) {
  const auto& from = dynamic_cast<const CudaStream&>(other);
  if (&from == this || from.reached(moment)) return;
  const auto event = std::find_if(from.recorded_.begin(), from.recorded_.end(), [&](const Recorded& r) { return r.moment >= moment; });
  if (event == from.recorded_.end()) throw std::logic_error("a moment is waited for that was not recorded");
  gpu_.check(gpu_.cu.cuStreamWaitEvent(stream_, event->event, 0), "wait for another stream");
  isDirty_ = true;
}

void CudaStream::arrive(Moment moment) const {
  for (; !recorded_.empty() && recorded_.front().moment <= moment; recorded_.pop_front()) idle_.push_back(recorded_.front().event);
  done_ = std::max(done_, moment);
  for (; !deliveries_.empty() && deliveries_.front().moment <= done_; deliveries_.pop_front()) std::memcpy(deliveries_.front().to, deliveries_.front().from, deliveries_.front().bytes);
}

bool CudaStream::reached(Moment moment) const {
  gpu_.use();
  while (!recorded_.empty()) {
    const CUresult result = gpu_.cu.cuEventQuery(recorded_.front().event);
    if (result == CUDA_ERROR_NOT_READY) break;
    gpu_.check(result, "finish its work");
    arrive(recorded_.front().moment);
  }
  return done_ >= moment;
}

void CudaStream::await(Moment moment) {
  gpu_.use();
  if (moment <= done_) return;
  if (moment > last_) record();
  if (moment > last_) throw std::logic_error("a moment is awaited that was not recorded");
  const auto event = std::find_if(recorded_.begin(), recorded_.end(), [&](const Recorded& r) { return r.moment >= moment; });
  gpu_.check(gpu_.cu.cuEventSynchronize(event->event), "finish its work");
  arrive(event->moment);
}

// Copies

std::byte* CudaStream::stage(Staging& staging, int64_t bytes) {
  Staging::Slot* slot = &staging.slots[staging.current];
  if (slot->used + bytes > Staging::SLOT) {
    staging.current = (staging.current + 1) % staging.slots.size();
    slot = &staging.slots[staging.current];
    if (!slot->memory) slot->memory.emplace(gpu_, Staging::SLOT);
    await(slot->last);
    slot->used = 0;
  }
  std::byte* const at = slot->memory->bytes() + slot->used;
  slot->used += (bytes + STAGING_ALIGNMENT - 1) / STAGING_ALIGNMENT * STAGING_ALIGNMENT;
  slot->last = last_ + 1;
  isDirty_ = true;
  return at;
}

void CudaStream::copy(Range from, Range to) {
  gpu_.use();
  if (from.bytes == 0) return;
  isDirty_ = true;
  gpu_.check(gpu_.cu.cuMemcpyDtoDAsync(to.address, from.address, static_cast<size_t>(from.bytes), stream_), "copy memory");
}

void CudaStream::upload(const std::byte* from, Range to) {
  gpu_.use();
  for (int64_t at = 0; at < to.bytes; at += Staging::SLOT) {
    const int64_t bytes = std::min(Staging::SLOT, to.bytes - at);
    std::byte* const staged = stage(uploads_, bytes);
    std::memcpy(staged, from + at, static_cast<size_t>(bytes));
    gpu_.check(gpu_.cu.cuMemcpyHtoDAsync(to.address + static_cast<uint64_t>(at), staged, static_cast<size_t>(bytes), stream_), "take what the host gives");
    if (bytes == Staging::SLOT) record();
  }
}

void CudaStream::download(Range from, std::byte* to) {
  gpu_.use();
  for (int64_t at = 0; at < from.bytes; at += Staging::SLOT) {
    const int64_t bytes = std::min(Staging::SLOT, from.bytes - at);
    std::byte* const staged = stage(downloads_, bytes);
    gpu_.check(gpu_.cu.cuMemcpyDtoHAsync(staged, from.address + static_cast<uint64_t>(at), static_cast<size_t>(bytes), stream_), "give the host what it asks for");
    deliveries_.push_back({last_ + 1, staged, to + at, static_cast<size_t>(bytes)});
    if (bytes == Staging::SLOT) record();
  }
}

// Launches

void CudaStream::launch(const CudaLaunch& launch) {
  gpu_.use();
  isDirty_ = true;
  issue(gpu_, launch, stream_);
}

void CudaStream::run(Tape& tape, Effects& effects, Trace* trace) {
  gpu_.use();
  auto& t = dynamic_cast<CudaTape&>(tape);
  t.lastRun = {this, last_ + 1};
  isDirty_ = true;
  walk(t.steps(), effects, trace);
  t.lastRun.moment = record();
}

void CudaStream::walk(std::vector<CudaTape::Step>& steps, Effects& effects, Trace* trace) {
  for (CudaTape::Step& step : steps) {
    isDirty_ = true;
    if (auto* stretch = std::get_if<CudaTape::Stretch>(&step.as)) {
      if (trace == nullptr) stretch->run(stream_);
      else runTraced(*stretch, *trace);
    } else if (const auto* effect = std::get_if<EffectCommand>(&step.as)) {
      await(record());
      effects.perform(effect->effect);
    } else {
      auto& loop = std::get<CudaTape::Loop>(step.as);
      for (int64_t trip = 0; trip < loop.trips; trip++) {
        gpu_.check(gpu_.cu.cuMemsetD32Async(loop.index.address, static_cast<unsigned>(trip), 1, stream_), "count a loop");
        walk(loop.body, effects, trace);
        if (!loop.until) continue;
        download(*loop.until, &loopEnd_);
        await(record());
        if (loopEnd_ != std::byte{0}) break;
      }
    }
  }
}

/** The host's clock is read when an event is seen to be reached; from it the others are as far as the device says. */
void CudaStream::runTraced(const CudaTape::Stretch& stretch, Trace& trace) {
  while (timers_.size() < 2 * TIMED + 1) timers_.push_back(newEvent(CU_EVENT_DEFAULT));
  const CUevent start = timers_.back();
  const auto time = [&](CUevent event) {
    float milliseconds = 0;
    gpu_.check(gpu_.cu.cuEventElapsedTime(&milliseconds, start, event), "say when it ran what");
    return static_cast<int64_t>(static_cast<double>(milliseconds) * 1e6);
  };
  const auto mark = [&](CUevent event) { gpu_.check(gpu_.cu.cuEventRecord(event, stream_), "record an event"); };
  for (size_t first = 0; first < stretch.works.size(); first += TIMED) {
    const size_t count = std::min(TIMED, stretch.works.size() - first);
    mark(start);
    gpu_.check(gpu_.cu.cuEventSynchronize(start), "finish its work");
    const int64_t begin = Trace::now();
    for (size_t i = 0; i < count; i++) {
      mark(timers_[2 * i]);
      stretch.issue(stretch.works[first + i], stream_);
      mark(timers_[2 * i + 1]);
    }
    isDirty_ = true;
    await(record());
    for (size_t i = 0; i < count; i++) {
      const CudaTape::Work& work = stretch.works[first + i];
      const auto* copy = std::get_if<CopyCommand>(&work.as);
      if (work.label != NO_LABEL) trace.add(work.label, begin + time(timers_[2 * i]), begin + time(timers_[2 * i + 1]), copy == nullptr ? 0 : copy->from.bytes);
    }
  }
}

}  // namespace sluice
