// The host's side of a tape, which remembers what was asked of it.
#pragma once
#include <functional>
#include <vector>

#include "device/device.h"

namespace sluice::test {

class Witness final : public Effects {
 public:
  void perform(int32_t effect) override {
    seen.push_back(effect);
    if (onEffect) onEffect(effect);
  }
  std::vector<int32_t> seen;
  std::function<void(int32_t)> onEffect;
};

}  // namespace sluice::test
