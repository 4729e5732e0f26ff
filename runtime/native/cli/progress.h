// How a run is shown: a bar on a terminal (iteration, logged values, rate, time left), plain lines where there is none, one
// JSON object a line with --json. What `sluice run` shows, for executables.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

#include "host/host.h"

namespace sluice {

/** A tensor, number or text as JSON. */
std::string jsonText(const RowValue& value);
std::string jsonString(const std::string& text);

/** Interrupting the process (Ctrl-C) is seen from now on; a second time ends it at once. */
void watchInterrupts();
bool wasInterrupted();

class ProgressView : public Sink {
 public:
  explicit ProgressView(bool json);
  /** Ends the line that is open. */
  void finish();

  void row(Row row) override;
  void progress(double done, double total) override;
  bool cancelled() override;

 private:
  double seconds() const;
  void draw(double done, double total);

  bool json_;
  bool terminal_;
  std::chrono::steady_clock::time_point start_;
  std::string logged_;
  /** How far it has come; a total of 0: nothing was said yet. */
  std::pair<double, double> seen_{0, 0};
  double lastLine_ = -1e9;
  bool isLineOpen_ = false;
};

}  // namespace sluice
