// The SSD tier for benchmarks: `io_bench FILE BYTES BLOCK DEPTH [pool]` opens it and then, for each line `write` or `read` on
// standard input, goes once through all of it in order and prints the milliseconds. Others may use the file between lines,
// so long as it is written again before it is read.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "io/ssd.h"

namespace {

/** With two requests on their way, each as long as half of the memory. */
double pass(sluice::Ssd& ssd, bool isWrite, int64_t bytes) {
  const auto start = std::chrono::steady_clock::now();
  const auto half = static_cast<int64_t>(ssd.memory().size()) / 2;
  sluice::Ssd::Ticket tickets[2];
  for (int64_t at = 0, turn = 0; at < bytes; at += half, turn = 1 - turn) {
    if (tickets[turn]) ssd.await(tickets[turn]);
    const auto memory = ssd.memory().subspan(static_cast<size_t>(turn * half), static_cast<size_t>(std::min(half, bytes - at)));
    tickets[turn] = isWrite ? ssd.write(at, memory) : ssd.read(at, memory);
  }
  for (const auto& ticket : tickets)
    if (ticket) ssd.await(ticket);
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 5) {
    std::cerr << "io_bench FILE BYTES BLOCK DEPTH [pool]\n";
    return 1;
  }
  try {
    const int64_t bytes = std::atoll(arguments[2]);
    const int64_t block = std::atoll(arguments[3]);
    const int depth = std::atoi(arguments[4]);
    sluice::Ssd ssd(arguments[1], {.capacity = bytes, .memory = 2 * block * depth, .depth = depth, .transfer = block, .ring = count < 6, .direct = true});
    for (size_t i = 0; i < ssd.memory().size(); i++) ssd.memory()[i] = static_cast<std::byte>(i * 2654435761U >> 13);
    std::cout << ssd.description() << std::endl;
    for (std::string line; std::getline(std::cin, line);) std::cout << pass(ssd, line == "write", bytes) << std::endl;
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
