// How a run is shown. On a terminal a bar stands for the outermost loop (iteration, values logged in it, rate, time left), and
// rows logged outside of one are lines. Where the output is no terminal every row is a line of its own. With --json each is
// a JSON object on a line. What `sluice run` shows, for executables.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

#include "base/error.h"
#include "host/host.h"

namespace sluice {

/** A tensor, number or text as JSON. */
std::string jsonText(const RowValue& value);
std::string jsonString(const std::string& text);

/** The exit code of a process that was interrupted: 128 and the number of the signal, as shells have it. */
constexpr int INTERRUPTED = 130;
/** From now on Ctrl-C ends the process with INTERRUPTED: at once, or once what is running was cancelled. A second one always does so at once. */
void watchInterrupts();
/** What runs from now on asks `wasInterrupted`, and stops by itself. */
void cancelWhenInterrupted();
bool wasInterrupted();
/** CLI005, what is then thrown. */
Error interruption();

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
  /** The bar stays where it is as a line, with what was logged last. */
  void endBar();

  bool json_;
  bool terminal_;
  std::chrono::steady_clock::time_point start_;
  std::string logged_;
  /** How far it has come; a total of 0: nothing was said yet. */
  std::pair<double, double> seen_{0, 0};
  double lastLine_ = -1e9;
  bool isLineOpen_ = false;
  bool isBarOpen_ = false;
};

}  // namespace sluice
