// What is known of memory that several threads reach: which accesses were the last ones to each byte, and whether it holds
// anything. Two accesses to a byte by different threads, one of them a write, need a barrier between them.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace shim {

/** Where in time an access is. */
struct Moment {
  /** Launches follow each other. */
  std::uint32_t launch;
  std::uint32_t block;
  std::uint16_t thread;
  bool is_atomic;
  /** Barriers of the block that the thread has passed, and of its warp. */
  std::uint32_t epoch;
  std::uint32_t warp_epoch;

  bool is_before(const Moment &now) const {
    if (launch != now.launch) return true;
    if (block != now.block) return false;
    if (thread == now.thread || epoch != now.epoch) return true;
    return thread / 32 == now.thread / 32 && warp_epoch != now.warp_epoch;
  }
};

/** As a report names it. */
std::string who(const Moment &m);

enum class Content : std::uint8_t { WRITTEN, UNWRITTEN, COPYING };

struct Byte {
  Moment write;
  /** Two readers that no barrier orders stand for all: whoever writes next is unordered with one of them. */
  Moment reads[2];
  bool has_write;
  std::uint8_t read_count;
  Content content;
};

struct Region {
  std::string name;
  std::uintptr_t base;
  std::size_t bytes;
  /** Of what nothing writes, none. Memory that takes no room before it is touched. */
  std::unique_ptr<Byte[], decltype(&std::free)> shadow;
  bool is_writable;

  bool has(std::uintptr_t address) const { return address - base < bytes; }
};

enum class Access { READ, WRITE, ATOMIC, COPY };

class Shadow {
public:
  /** Accesses to the arena outside of any region are faults. */
  void arena(std::uintptr_t base, std::size_t bytes);
  Region &region(std::string name, const void *base, std::size_t bytes, bool is_writable, Content content);
  /** Forgets regions beyond the first so many. */
  void keep(std::size_t regions);
  /** Forgets the region that lies there. */
  void forget(const void *base);
  std::size_t size() const { return regions_.size(); }

  /** Empty, or what is wrong with the access. */
  std::string check(std::uintptr_t address, std::size_t bytes, Access access, const Moment &now);
  /** The bytes of a copy that has arrived. */
  void arrived(std::uintptr_t address, std::size_t bytes, const Moment &now);

private:
  struct Arena {
    std::uintptr_t base;
    std::size_t bytes;
  };
  std::deque<Region> regions_;
  std::vector<Arena> arenas_;
  Region *last_ = nullptr;

  Region *find(std::uintptr_t address);
  std::string outside(std::uintptr_t address, std::size_t bytes, Access access, const Moment &now) const;
};

}  // namespace shim
