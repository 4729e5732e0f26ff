#include "cli/progress.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace sluice {
namespace {

/** Plain lines come no oftener than this, and a bar is drawn no oftener. */
constexpr double LINE_SECONDS = 1;
constexpr double FRAME_SECONDS = 0.1;
constexpr int BAR_WIDTH = 40;

/** Read and written where a signal is handled, so without a lock. */
std::atomic<bool> interrupted{false};
std::atomic<bool> canCancel{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void put(FILE* stream, const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stream);
  std::fflush(stream);
}

std::string fixed(double x, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, x);
  return text;
}
/** To five digits. */
std::string rounded(double x) {
  if (x == std::floor(x) && std::fabs(x) < 1e15) return numberText(x);
  char text[64];
  std::snprintf(text, sizeof text, "%.4e", x);
  return numberText(std::strtod(text, nullptr));
}
std::string duration(double seconds) {
  if (seconds < 90) return fixed(std::ceil(seconds), 0) + " s";
  return fixed(std::floor(seconds / 60), 0) + " min " + fixed(std::round(std::fmod(seconds, 60)), 0) + " s";
}
std::string valueText(const RowValue& value) {
  if (const auto* number = std::get_if<double>(&value)) return rounded(*number);
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  return tensorText(std::get<HostTensor>(value));
}
std::string jsonNumber(double x) { return std::isfinite(x) ? numberText(x) : "null"; }

}  // namespace

std::string jsonString(const std::string& text) { return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace); }

std::string jsonText(const RowValue& value) {
  if (const auto* number = std::get_if<double>(&value)) return jsonNumber(*number);
  if (const auto* text = std::get_if<std::string>(&value)) return jsonString(*text);
  const auto& tensor = std::get<HostTensor>(value);
  std::string data;
  for (int64_t i = 0; i < elementCount(tensor.shape); i++) data += (i == 0 ? "" : ",") + jsonNumber(elementAt(tensor, i));
  return "{\"dtype\":\"" + std::string(name(tensor.dtype)) + "\",\"shape\":" + shapeText(tensor.shape) + ",\"data\":[" + data + "]}";
}

void watchInterrupts() {
  struct sigaction action {};
  action.sa_handler = [](int) {
    if (interrupted || !canCancel) ::_exit(INTERRUPTED);
    interrupted = true;
  };
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
}
void cancelWhenInterrupted() { canCancel = true; }
bool wasInterrupted() { return interrupted; }
Error interruption() { return Error({.code = "CLI005", .message = "interrupted"}); }

ProgressView::ProgressView(bool json) : json_(json), terminal_(::isatty(STDERR_FILENO) != 0), start_(std::chrono::steady_clock::now()) {}

bool ProgressView::cancelled() { return interrupted; }

double ProgressView::seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

void ProgressView::draw(double done, double total) {
  const double rate = done / std::max(1e-9, seconds());
  const std::string counts = numberText(done) + "/" + numberText(total) + (terminal_ ? logged_ : "") + "  " + fixed(rate, 1) + "/s  ";
  if (!terminal_) return put(stderr, counts + (done < total ? duration((total - done) / rate) + " left" : "took " + duration(seconds())) + "\n");
  const int full = total > 0 ? static_cast<int>(std::lround(BAR_WIDTH * done / total)) : BAR_WIDTH;
  std::string bar;
  for (int i = 0; i < BAR_WIDTH; i++) bar += i < full ? "█" : "░";
  put(stderr, "\r\x1b[K " + bar + " " + counts + duration((total - done) / rate) + " left");
  isBarOpen_ = true;
}

void ProgressView::endBar() {
  if (!isBarOpen_) return;
  draw(seen_.first, seen_.second);
  put(stderr, "\n");
  isBarOpen_ = false;
}

void ProgressView::progress(double done, double total) {
  seen_ = {done, total};
  const double now = seconds();
  if (json_ || (now - lastLine_ < (terminal_ ? FRAME_SECONDS : LINE_SECONDS) && done < total)) return;
  lastLine_ = now;
  draw(done, total);
}

void ProgressView::row(Row row) {
  if (json_) {
    std::string line = row.kind == Row::Kind::log ? "{\"kind\":\"log\"" : "{\"kind\":\"emit\"";
    for (const auto& [name, value] : row.values) line += "," + jsonString(name) + ":" + jsonText(value);
    return put(stdout, line + "}\n");
  }
  if (row.kind == Row::Kind::log) {
    std::vector<std::string> values;
    for (const auto& [name, value] : row.values) values.push_back(name + " " + valueText(value));
    const std::string text = joined(values, "  ");
    if (terminal_ && row.inLoop) {
      logged_ = "  " + text;
    } else {
      endBar();
      put(stderr, text + "\n");
    }
    return;
  }
  for (const auto& [name, value] : row.values) {
    const auto* plain = std::get_if<std::string>(&value);
    const std::string text = plain != nullptr ? *plain : name + ": " + valueText(value) + "\n";
    put(stdout, text);
    isLineOpen_ = !text.ends_with('\n');
  }
}

void ProgressView::finish() {
  if (json_) return;
  // Of a loop that ended before its progress was told.
  if (seen_.second == 0 && !logged_.empty()) put(stderr, logged_.substr(2) + "\n");
  endBar();
  if (isLineOpen_) put(stdout, "\n");
}

}  // namespace sluice
