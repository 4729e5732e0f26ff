#include "io/ssd.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "base/text.h"
#include "io/block-sums.h"

namespace sluice {

class Ssd::Request {
 public:
  size_t partsLeft = 0;
  std::optional<Error> error;
};

namespace {

/** Past these a transfer that gets nowhere is a failure. */
constexpr int MOST_STALLS = 100;
constexpr size_t HUGE_PAGE = size_t{2} << 20;

std::string hex(uint32_t sum) {
  char text[9];
  std::snprintf(text, sizeof text, "%08x", sum);
  return text;
}
std::string refusalText(const std::string& what, int number) { return what + " is refused (" + strerrorname_np(number) + ")"; }

/** Whether transfers get past the page cache; where they do not, the errno is in `refusal`. Whatever else fails is said when the tier is used. */
bool takesDirect(Disk& disk, const File& file, int& refusal) {
  alignas(Ssd::BLOCK) std::byte block[Ssd::BLOCK]{};
  const bool isRefused = disk.write(file.descriptor(), block, sizeof block, 0) == -EINVAL || disk.read(file.descriptor(), block, sizeof block, 0) == -EINVAL;
  if (isRefused) refusal = EINVAL;
  return !isRefused;
}

/** Of a file that stands where the tier's own was to be made. */
Error alreadyThere(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  const bool isInUse = file >= 0 && ::flock(file, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
  if (file >= 0) ::close(file);
  return Error({.code = "SSD003", .message = path + (isInUse ? ": another run keeps its tier in this file" : ": there is a file already, and a tier makes its own"),
      .expected = "a path at which there is no file", .hint = isInUse ? "name another path, or wait until it has ended" : "name another path, or remove the file if nothing needs it: a run that was killed leaves its own"});
}

void requireAligned(bool aligned, const char* what) {
  if (!aligned) throw std::logic_error(std::string("SSD transfers are whole blocks: ") + what);
}

}  // namespace

Ssd::Ssd(const std::string& path, SsdOptions options, Disk& disk) : path_(path), disk_(disk), transfer_(options.transfer), depth_(static_cast<size_t>(options.depth)) {
  requireAligned(options.capacity % BLOCK == 0 && options.memory % BLOCK == 0 && options.transfer % BLOCK == 0, "options");
  if (options.memory > 0) {
    const auto bytes = static_cast<size_t>(options.memory);
    void* address = ::mmap(nullptr, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address == MAP_FAILED) throw Error({.code = "MEM001", .message = "not enough memory for transfers to " + path, .found = std::to_string(options.memory) + " bytes"});
    mapping_ = {static_cast<std::byte*>(address), bytes + HUGE_PAGE};
    memory_ = mapping_.subspan(HUGE_PAGE - reinterpret_cast<uintptr_t>(address) % HUGE_PAGE, bytes);
    // A device takes only so many pieces of memory at once: of pages of 4 KiB, one transfer becomes several. Where there are no others, it works too.
    ::madvise(memory_.data(), bytes, MADV_HUGEPAGE);
  }
  try {
    create();
    open(options);
    const auto blocks = static_cast<size_t>(options.capacity / BLOCK);
    sums_.resize(blocks);
    isWritten_.resize(blocks);
    parts_.resize(2 * depth_);
    for (size_t slot = parts_.size(); slot > 0; slot--) free_.push_back(static_cast<uint32_t>(slot - 1));
    thread_ = std::thread([this] { run(); });
  } catch (...) {
    close();
    throw;
  }
}

Ssd::~Ssd() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  asked_.notify_one();
  transport_->wake();
  thread_.join();
  close();
}

void Ssd::close() {
  transport_.reset();
  if (owned_) {
    // Whoever put another file in its place keeps that.
    struct stat own {}, there {};
    const bool isOwn = ::fstat(owned_->descriptor(), &own) == 0 && ::stat(path_.c_str(), &there) == 0 && own.st_dev == there.st_dev && own.st_ino == there.st_ino;
    if (isOwn) disk_.remove(path_.c_str());
  }
  if (!mapping_.empty()) ::munmap(mapping_.data(), mapping_.size());
}

/** Makes the file, which must not be there, and locks it. */
void Ssd::create() {
  try {
    owned_ = std::make_unique<File>(disk_, path_, O_RDWR | O_CREAT | O_EXCL);
  } catch (const Error& error) {
    if (error.diagnostic.found == "EEXIST") throw alreadyThere(path_);
    throw;
  }
  // Only those who ask whose it is hold it too, for a moment. Where the file system has no locks, it is still exclusive.
  while (::flock(owned_->descriptor(), LOCK_EX) < 0 && errno == EINTR) continue;
}

void Ssd::open(const SsdOptions& options) {
  std::vector<std::string> refusals;
  if (options.direct) {
    int refusal = 0;
    try {
      direct_ = std::make_unique<File>(disk_, path_, O_RDWR | O_DIRECT);
      if (!takesDirect(disk_, *direct_, refusal)) direct_.reset();
    } catch (const Error& error) {
      if (error.diagnostic.found != "EINVAL") throw;
      refusal = EINVAL;
    }
    if (!direct_) refusals.push_back(refusalText("O_DIRECT", refusal));
  }
  owned_->reserve(options.capacity);
  const int file = (direct_ ? *direct_ : *owned_).descriptor();
  if (options.transport) transport_ = options.transport(file);
  else if (options.ring) {
    int refusal = 0;
    transport_ = ringTransport(file, 2 * options.depth, memory_, refusal);
    if (!transport_) refusals.push_back(refusalText("io_uring", refusal));
  }
  if (!transport_) transport_ = poolTransport(disk_, file, options.depth);
  description_ = transport_->description() + (direct_ ? ", past the page cache" : ", through the page cache");
  if (!refusals.empty()) description_ += "; " + joined(refusals);
}

Ssd::Ticket Ssd::read(int64_t offset, std::span<std::byte> to) { return enqueue(false, offset, to.data(), to.size()); }

Ssd::Ticket Ssd::write(int64_t offset, Bytes from) { return enqueue(true, offset, const_cast<std::byte*>(from.data()), from.size()); }

Ssd::Ticket Ssd::enqueue(bool isWrite, int64_t offset, std::byte* memory, size_t bytes) {
  const auto length = static_cast<int64_t>(bytes);
  requireAligned(offset % BLOCK == 0 && length % BLOCK == 0 && reinterpret_cast<uintptr_t>(memory) % BLOCK == 0, "offset, length and address");
  if (offset < 0 || length > static_cast<int64_t>(sums_.size()) * BLOCK - offset) throw std::logic_error("an SSD transfer past the end of " + path_);
  auto request = std::make_shared<Request>();
  {
    const std::lock_guard lock(mutex_);
    if (failure_) {
      request->error = failure_;
      return request;
    }
    for (int64_t at = 0; at < length; at += transfer_) {
      request->partsLeft++;
      waiting_.push_back({.request = request, .isWrite = isWrite, .offset = offset + at, .memory = memory + at, .bytes = std::min(transfer_, length - at)});
    }
  }
  asked_.notify_one();
  transport_->wake();
  return request;
}

bool Ssd::isDone(const Ticket& ticket) const {
  const std::lock_guard lock(mutex_);
  return ticket->partsLeft == 0;
}

void Ssd::await(const Ticket& ticket) {
  std::unique_lock lock(mutex_);
  done_.wait(lock, [&] { return ticket->partsLeft == 0; });
  if (ticket->error) throw *ticket->error;
}

void Ssd::run() {
  try {
    transferAll();
  } catch (const std::exception& error) {
    abandon(error.what());
  }
}

/** What was asked for and is not done, and what is asked from now on, fails. What is under way may still move what it was given. */
void Ssd::abandon(const std::string& why) {
  const std::lock_guard lock(mutex_);
  failure_ = Error({.code = "SSD004", .message = path_ + ": transfers have stopped", .found = why, .hint = "open the tier again; what was in it is lost"});
  const auto fail = [&](const Ticket& request) {
    if (!request) return;
    request->partsLeft = 0;
    if (!request->error) request->error = failure_;
  };
  for (const Part& part : parts_) fail(part.request);
  for (const Part& part : waiting_) fail(part.request);
  waiting_.clear();
  done_.notify_all();
}

void Ssd::transferAll() {
  std::vector<uint32_t> starting;
  std::vector<Transferred> finished;
  const auto isIdle = [this] { return free_.size() == parts_.size(); };
  for (;;) {
    starting.clear();
    {
      std::unique_lock lock(mutex_);
      if (isIdle()) asked_.wait(lock, [this] { return !waiting_.empty() || stopped_; });
      if (isIdle() && waiting_.empty()) return;
      for (; !waiting_.empty() && !free_.empty() && underWay_ + starting.size() < depth_; waiting_.pop_front(), free_.pop_back()) {
        parts_[free_.back()] = std::move(waiting_.front());
        starting.push_back(free_.back());
      }
    }
    for (const uint32_t slot : starting) begin(slot);
    transport_->submit();
    for (const uint32_t slot : unsummed_) sum(slot);
    unsummed_.clear();
    for (const uint32_t slot : arrived_) verify(slot);
    arrived_.clear();
    if (underWay_ == 0) continue;
    finished.clear();
    transport_->collect(finished);
    for (const Transferred& transferred : finished) finish(transferred);
  }
}

Ssd::Blocks Ssd::blocksOf(const Part& part) { return {static_cast<size_t>(part.offset / BLOCK), static_cast<size_t>(part.bytes / BLOCK)}; }

void Ssd::begin(uint32_t slot) {
  const Part& part = parts_[slot];
  const Blocks blocks = blocksOf(part);
  const auto written = std::span(isWritten_).subspan(blocks.first, blocks.count);
  if (part.isWrite) {
    std::fill(written.begin(), written.end(), uint8_t{0});
    unsummed_.push_back(slot);
  } else if (const auto hole = std::find(written.begin(), written.end(), 0); hole != written.end()) {
    return end(slot, Error({.code = "SSD002", .message = path_ + ": a block is read that was never written", .found = "offset " + std::to_string(part.offset + (hole - written.begin()) * BLOCK)}));
  }
  transfer(slot);
}

void Ssd::transfer(uint32_t slot) {
  const Part& part = parts_[slot];
  underWay_++;
  transport_->start({.isWrite = part.isWrite, .offset = part.offset + part.moved, .memory = part.memory + part.moved, .bytes = static_cast<size_t>(part.bytes - part.moved), .id = slot});
}

void Ssd::sum(uint32_t slot) {
  const Part& part = parts_[slot];
  const Blocks blocks = blocksOf(part);
  blockSums({part.memory, static_cast<size_t>(part.bytes)}, std::span(sums_).subspan(blocks.first, blocks.count));
}

void Ssd::verify(uint32_t slot) {
  Part& part = parts_[slot];
  std::optional<Error> error = damage(part);
  if (!error || part.isRepeated) return end(slot, std::move(error));
  // What was damaged on the way is whole when it comes again.
  part.isRepeated = true;
  part.moved = 0;
  transfer(slot);
}

void Ssd::finish(const Transferred& transferred) {
  const uint32_t slot = transferred.id;
  Part& part = parts_[slot];
  underWay_--;
  if (transferred.failure) {
    try {
      std::rethrow_exception(transferred.failure);
    } catch (const Error& error) {
      return end(slot, error);
    } catch (const std::exception& error) {
      return end(slot, Error({.code = part.isWrite ? "FILE003" : "FILE001", .message = path_ + (part.isWrite ? ": cannot be written" : ": cannot be read"), .found = error.what()}));
    }
  }
  const int64_t result = transferred.result;
  const bool isInterrupted = result == -EINTR || result == -EAGAIN;
  // What is not a whole block is transferred again.
  const int64_t gained = result < 0 ? 0 : result / BLOCK * BLOCK;
  part.moved += gained;
  if (gained == 0) part.stalls++;
  if ((result <= 0 && !isInterrupted) || part.stalls > MOST_STALLS) {
    const int number = result < 0 ? static_cast<int>(-result) : EIO;
    return end(slot, part.isWrite ? fileError("FILE003", path_, "cannot be written", number, part.offset + part.moved) : fileError("FILE001", path_, "cannot be read", number, part.offset + part.moved));
  }
  if (part.moved < part.bytes) return transfer(slot);
  if (part.isWrite) return end(slot, std::nullopt);
  arrived_.push_back(slot);
}

std::optional<Error> Ssd::damage(const Part& part) {
  const Blocks blocks = blocksOf(part);
  found_.resize(blocks.count);
  blockSums({part.memory, static_cast<size_t>(part.bytes)}, found_);
  const auto expected = std::span(sums_).subspan(blocks.first, blocks.count);
  const auto [sum, wanted] = std::mismatch(found_.begin(), found_.end(), expected.begin());
  if (sum == found_.end()) return std::nullopt;
  return Error({.code = "SSD001", .message = path_ + ": a block is not what was written to it", .found = "checksum " + hex(*sum) + " at offset " + std::to_string(part.offset + (sum - found_.begin()) * BLOCK),
                .expected = "checksum " + hex(*wanted), .hint = "the device or its memory is failing; nothing that was read is used"});
}

void Ssd::end(uint32_t slot, std::optional<Error> error) {
  Part& part = parts_[slot];
  const Blocks blocks = blocksOf(part);
  if (part.isWrite && !error) std::fill_n(isWritten_.begin() + static_cast<int64_t>(blocks.first), blocks.count, uint8_t{1});
  {
    const std::lock_guard lock(mutex_);
    part.request->partsLeft--;
    if (error && !part.request->error) part.request->error = std::move(error);
    if (part.request->partsLeft == 0) done_.notify_all();
  }
  part.request.reset();
  free_.push_back(slot);
}

}  // namespace sluice
