// Fibers: stacks that are switched by a few instructions. x86-64, System V.
#pragma once
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>

namespace shim {

/** Keeps the place of whoever runs in `*from`, and goes on at `to`. */
extern "C" void shim_switch(void **from, void *to);
asm(R"(
.text
.hidden shim_switch
.globl shim_switch
.type shim_switch, @function
shim_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
)");

class Stacks {
public:
  static constexpr std::size_t BYTES = 256 << 10;

  explicit Stacks(std::size_t count) : bytes_(count * BYTES) {
    memory_ = static_cast<char *>(mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  }
  ~Stacks() { munmap(memory_, bytes_); }
  Stacks(const Stacks &) = delete;

  bool has(std::uintptr_t address) const { return address - reinterpret_cast<std::uintptr_t>(memory_) < bytes_; }

  /** Where a fiber starts that calls `entry`, which must not return. */
  void *start(std::size_t i, void (*entry)()) const {
    auto top = reinterpret_cast<void **>(memory_ + (i + 1) * BYTES) - 2;
    *--top = nullptr;
    *--top = reinterpret_cast<void *>(entry);
    for (int registers = 0; registers < 6; registers++) *--top = nullptr;
    return top;
  }

private:
  char *memory_;
  std::size_t bytes_;
};

}  // namespace shim
