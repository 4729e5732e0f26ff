#include "shadow.h"

namespace shim {

namespace {

const char *word(Access access) {
  switch (access) {
    case Access::READ: return "read";
    case Access::WRITE: return "write";
    case Access::ATOMIC: return "atomic update";
    case Access::COPY: return "copy";
  }
  return "";
}
}  // namespace

std::string who(const Moment &m) { return "thread " + std::to_string(m.thread) + " of block " + std::to_string(m.block); }

namespace {

std::string race(const Region &region, std::size_t at, const char *now, const Moment &by, const char *before, const Moment &was) {
  return "race on " + region.name + " at byte " + std::to_string(at) + ": " + now + " by " + who(by) + " after a " + before + " by " + who(was) + " with no barrier between";
}

}  // namespace

void Shadow::arena(std::uintptr_t base, std::size_t bytes) {
  for (const Arena &a : arenas_) if (a.base == base) return;
  arenas_.push_back({base, bytes});
}

Region &Shadow::region(std::string name, const void *base, std::size_t bytes, bool is_writable, Content content) {
  regions_.push_back({std::move(name), reinterpret_cast<std::uintptr_t>(base), bytes, {nullptr, &std::free}, is_writable});
  Region &region = regions_.back();
  if (is_writable) region.shadow.reset(static_cast<Byte *>(std::calloc(bytes + 1, sizeof(Byte))));
  // Zeros say that it is written.
  if (is_writable && content != Content::WRITTEN) for (std::size_t i = 0; i < bytes; i++) region.shadow[i].content = content;
  return region;
}

void Shadow::keep(std::size_t regions) {
  while (regions_.size() > regions) regions_.pop_back();
  last_ = nullptr;
}

void Shadow::forget(const void *base) {
  for (auto r = regions_.begin(); r != regions_.end(); ++r) {
    if (r->base != reinterpret_cast<std::uintptr_t>(base)) continue;
    regions_.erase(r);
    break;
  }
  last_ = nullptr;
}

Region *Shadow::find(std::uintptr_t address) {
  if (last_ != nullptr && last_->has(address)) return last_;
  for (Region &r : regions_) if (r.has(address)) return last_ = &r;
  return nullptr;
}

std::string Shadow::outside(std::uintptr_t address, std::size_t bytes, Access access, const Moment &now) const {
  const Region *nearest = nullptr;
  std::uintptr_t least = UINTPTR_MAX;
  for (const Region &r : regions_) {
    const std::uintptr_t gap = address < r.base ? r.base - address : address - r.base - r.bytes;
    if (gap >= least) continue;
    least = gap;
    nearest = &r;
  }
  const std::string place = nearest == nullptr ? "no buffer" : "byte " + std::to_string(static_cast<std::int64_t>(address - nearest->base)) + " of " + nearest->name + ", which has " + std::to_string(nearest->bytes);
  return std::string("out of bounds: ") + word(access) + " of " + std::to_string(bytes) + " bytes at " + place + ", by " + who(now);
}

std::string Shadow::check(std::uintptr_t address, std::size_t bytes, Access access, const Moment &now) {
  Region *region = find(address);
  if (region == nullptr) {
    for (const Arena &a : arenas_) if (address - a.base < a.bytes) return outside(address, bytes, access, now);
    // Constants of the code.
    return "";
  }
  const std::size_t first = address - region->base;
  if (first + bytes > region->bytes) return outside(address, bytes, access, now);
  if (!region->is_writable) return access == Access::READ ? "" : std::string(word(access)) + " to " + region->name + ", which is only read, by " + who(now);
  for (std::size_t i = first; i < first + bytes; i++) {
    Byte &b = region->shadow[i];
    const bool is_atomic = access == Access::ATOMIC;
    if (b.content == Content::COPYING) return std::string(word(access)) + " of " + region->name + " at byte " + std::to_string(i) + " while a copy into it is under way, by " + who(now);
    if (b.content == Content::UNWRITTEN && access == Access::READ) return "read of " + region->name + " at byte " + std::to_string(i) + " before anything was written there, by " + who(now);
    if (b.has_write && !b.write.is_before(now) && !(is_atomic && b.write.is_atomic)) return race(*region, i, word(access), now, "write", b.write);
    if (access == Access::READ) {
      int kept = 0;
      bool is_known = false;
      for (int r = 0; r < b.read_count; r++) {
        if (b.reads[r].is_before(now) && b.reads[r].thread != now.thread) continue;
        is_known |= b.reads[r].thread == now.thread && b.reads[r].block == now.block;
        b.reads[kept++] = b.reads[r];
      }
      if (is_known) for (int r = 0; r < kept; r++) {
        if (b.reads[r].thread == now.thread && b.reads[r].block == now.block) b.reads[r] = now;
      }
      else if (kept < 2) b.reads[kept++] = now;
      b.read_count = static_cast<std::uint8_t>(kept);
      continue;
    }
    for (int r = 0; r < b.read_count; r++) if (!b.reads[r].is_before(now)) return race(*region, i, word(access), now, "read", b.reads[r]);
    b.write = now;
    b.write.is_atomic = is_atomic;
    b.has_write = true;
    b.read_count = 0;
    b.content = access == Access::COPY ? Content::COPYING : Content::WRITTEN;
  }
  return "";
}

void Shadow::arrived(std::uintptr_t address, std::size_t bytes, const Moment &now) {
  Region *region = find(address);
  for (std::size_t i = address - region->base; bytes > 0; i++, bytes--) {
    region->shadow[i].content = Content::WRITTEN;
    region->shadow[i].write = now;
  }
}

}  // namespace shim
