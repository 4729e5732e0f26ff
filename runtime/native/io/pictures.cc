#include "io/pictures.h"

#include <malloc.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "io/picture-file.h"
#include "io/tensor-files.h"

namespace {

/** What the decoder may hold while it decodes one picture: it believes what data says of its own length. */
thread_local size_t allowed = 0;

void* allocate(size_t bytes) {
  if (bytes > allowed) return nullptr;
  void* memory = std::malloc(bytes);
  if (memory != nullptr) allowed -= std::min(allowed, malloc_usable_size(memory));
  return memory;
}
void release(void* memory) {
  allowed += malloc_usable_size(memory);
  std::free(memory);
}
void* grow(void* memory, size_t was, size_t bytes) {
  void* larger = allocate(bytes);
  if (larger == nullptr || memory == nullptr) return larger;
  std::memcpy(larger, memory, std::min(was, bytes));
  release(memory);
  return larger;
}

}  // namespace

#define STBI_MALLOC(bytes) allocate(bytes)
#define STBI_REALLOC_SIZED(memory, was, bytes) grow(memory, was, bytes)
#define STBI_FREE(memory) release(memory)
#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_NO_STDIO
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBI_WRITE_NO_STDIO
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wold-style-cast"
#include <stb/stb_image.h>
#include <stb/stb_image_write.h>
#pragma GCC diagnostic pop

namespace sluice {
namespace {

/** Of 16 bits and four channels, filtered, unfiltered and by passes; a progressive JPEG's coefficients take less. */
constexpr size_t DECODER_BYTES_PER_PIXEL = 24;
/** Tables, whatever the size. */
constexpr size_t DECODER_BYTES = size_t{1} << 20;

/** Interleaved channels as RGB and alpha, turned upright. */
Picture arranged(const unsigned char* pixels, int64_t width, int64_t height, int channels, int orientation) {
  const bool turned = orientation >= 5;
  Picture picture{.width = turned ? height : width, .height = turned ? width : height, .rgb = {}, .alpha = std::nullopt};
  const bool grey = channels < 3;
  const auto count = static_cast<size_t>(width * height);
  picture.rgb.resize(3 * count);
  if (channels % 2 == 0) picture.alpha.emplace(count);
  for (int64_t y = 0; y < picture.height; y++) {
    for (int64_t x = 0; x < picture.width; x++) {
      // Where this pixel lies in the file: columns from the right, rows from below, rows and columns swapped.
      int64_t fromX = turned ? y : x;
      int64_t fromY = turned ? x : y;
      if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8) fromX = width - 1 - fromX;
      if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7) fromY = height - 1 - fromY;
      const unsigned char* from = pixels + (fromY * width + fromX) * channels;
      const auto to = static_cast<size_t>(y * picture.width + x);
      for (size_t c = 0; c < 3; c++) picture.rgb[3 * to + c] = static_cast<std::byte>(from[grey ? 0 : c]);
      if (picture.alpha) (*picture.alpha)[to] = static_cast<std::byte>(from[channels - 1]);
    }
  }
  return picture;
}

void append(void* bytes, void* data, int length) {
  const auto* from = static_cast<const std::byte*>(data);
  auto& to = *static_cast<std::vector<std::byte>*>(bytes);
  to.insert(to.end(), from, from + length);
}

std::byte rounded(float x) { return static_cast<std::byte>(std::lround(std::clamp(x, 0.0F, 255.0F))); }

using Kernel = float (*)(float);

float lanczos3(float x) {
  constexpr float PI = 3.14159265358979F;
  if (x == 0) return 1;
  return std::fabs(x) >= 3 ? 0 : 3 * std::sin(PI * x) * std::sin(PI * x / 3) / (PI * PI * x * x);
}
float catmullRom(float x) {
  const float d = std::fabs(x);
  return d >= 2 ? 0 : d >= 1 ? ((-0.5F * d + 2.5F) * d - 4) * d + 2 : (1.5F * d - 2.5F) * d * d + 1;
}
/** The mean of what lies within half a pixel. */
float box(float x) { return x >= -0.5F && x < 0.5F ? 1 : 0; }

/** `lines` rows of `size` pixels, each of `stride` values. */
struct Axis {
  int64_t lines;
  int64_t size;
  int64_t stride;
};

/** The axis at other places: place i lies at (i + shift) * scale - 0.5 and sees so far on either side; edges repeat. */
std::vector<float> resampled(const std::vector<float>& from, Axis axis, int64_t wanted, float scale, float shift, Kernel kernel, float spread, float reach) {
  std::vector<float> to(static_cast<size_t>(axis.lines * wanted * axis.stride));
  std::vector<float> weights;
  for (int64_t at = 0; at < wanted; at++) {
    const float centre = (static_cast<float>(at) + shift) * scale - 0.5F;
    const auto first = static_cast<int64_t>(std::ceil(centre - reach * spread));
    const auto last = static_cast<int64_t>(std::floor(centre + reach * spread));
    weights.clear();
    float sum = 0;
    for (int64_t i = first; i <= last; i++) sum += weights.emplace_back(kernel((static_cast<float>(i) - centre) / spread));
    for (int64_t line = 0; line < axis.lines; line++) {
      float* result = &to[static_cast<size_t>((line * wanted + at) * axis.stride)];
      for (int64_t i = first; i <= last; i++) {
        const float* source = &from[static_cast<size_t>((line * axis.size + std::clamp<int64_t>(i, 0, axis.size - 1)) * axis.stride)];
        const float weight = weights[static_cast<size_t>(i - first)] / sum;
        for (int64_t c = 0; c < axis.stride; c++) result[c] += weight * source[c];
      }
    }
  }
  return to;
}

/**
 * As libvips does it: far smaller first by whole boxes, smaller by Lanczos. A picture that becomes larger along either axis
 * goes through cubics along both, and those start half a pixel before the edge.
 */
std::vector<float> resized(std::vector<float> pixels, Axis axis, int64_t wanted, bool enlarges) {
  float scale = static_cast<float>(axis.size) / static_cast<float>(wanted);
  const auto boxes = static_cast<int64_t>(scale / 2);
  if (boxes > 1) {
    const int64_t left = (axis.size + boxes - 1) / boxes;
    pixels = resampled(pixels, axis, left, static_cast<float>(boxes), 0.5F, box, static_cast<float>(boxes), 0.5F);
    axis.size = left;
    scale /= static_cast<float>(boxes);
  }
  if (scale > 1) {
    pixels = resampled(pixels, axis, wanted, scale, 0.5F, lanczos3, scale, 3);
    axis.size = wanted;
    scale = 1;
  }
  return enlarges ? resampled(pixels, axis, wanted, scale, 0, catmullRom, 1, 2) : pixels;
}

}  // namespace

Picture decodePicture(const std::string& path, Bytes bytes) {
  const PictureFile file = inspectPicture(path, bytes);
  int width = 0;
  int height = 0;
  int channels = 0;
  allowed = 3 * bytes.size() + DECODER_BYTES_PER_PIXEL * file.pixels + DECODER_BYTES;
  const std::unique_ptr<unsigned char, decltype(&release)> pixels(
      stbi_load_from_memory(reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()), &width, &height, &channels, 0), release);
  if (!pixels) {
    const std::string reason = stbi_failure_reason();
    throw Error({.code = "IMAGE001", .message = path + ": not a picture that can be read", .found = reason == "outofmem" ? "more data than its size takes" : reason, .expected = "PNG or JPEG"});
  }
  return arranged(pixels.get(), width, height, channels, file.orientation);
}

std::vector<std::byte> encodePicture(const std::string& path, const Picture& picture) {
  const bool jpeg = !hasEnding(path, ".png");
  const auto& alpha = picture.alpha;
  std::vector<std::byte> pixels = picture.rgb;
  if (alpha && jpeg) {
    for (size_t i = 0; i < pixels.size(); i++) pixels[i] = rounded(static_cast<float>(pixels[i]) * static_cast<float>((*alpha)[i / 3]) / 255);
  } else if (alpha) {
    pixels.resize(4 * alpha->size());
    for (size_t i = 0; i < alpha->size(); i++) {
      std::copy_n(&picture.rgb[3 * i], 3, &pixels[4 * i]);
      pixels[4 * i + 3] = (*alpha)[i];
    }
  }
  std::vector<std::byte> bytes;
  const auto width = static_cast<int>(picture.width);
  const auto height = static_cast<int>(picture.height);
  const int channels = alpha && !jpeg ? 4 : 3;
  constexpr int QUALITY = 95;
  const int written = jpeg ? stbi_write_jpg_to_func(append, &bytes, width, height, channels, pixels.data(), QUALITY)
                           : stbi_write_png_to_func(append, &bytes, width, height, channels, pixels.data(), width * channels);
  if (written == 0) throw Error({.code = "IMAGE002", .message = path + ": the picture cannot be encoded", .found = std::to_string(width) + " x " + std::to_string(height)});
  return bytes;
}

Picture resizePicture(const Picture& picture, int64_t height, int64_t width) {
  const bool enlarges = height > picture.height || width > picture.width;
  const auto plane = [&](const std::vector<std::byte>& from, int64_t channels) {
    std::vector<float> levels(from.size());
    std::transform(from.begin(), from.end(), levels.begin(), [](std::byte b) { return static_cast<float>(b); });
    levels = resized(std::move(levels), {.lines = 1, .size = picture.height, .stride = picture.width * channels}, height, enlarges);
    levels = resized(std::move(levels), {.lines = height, .size = picture.width, .stride = channels}, width, enlarges);
    std::vector<std::byte> to(levels.size());
    std::transform(levels.begin(), levels.end(), to.begin(), rounded);
    return to;
  };
  Picture result{.width = width, .height = height, .rgb = plane(picture.rgb, 3), .alpha = std::nullopt};
  if (picture.alpha) result.alpha = plane(*picture.alpha, 1);
  return result;
}

HostTensor pictureTensor(const Picture& picture, DType dtype) {
  HostTensor tensor{dtype, {picture.height, picture.width, 3}, picture.rgb};
  if (dtype == DType::u8) return tensor;
  std::vector<float> levels(picture.rgb.size());
  std::transform(picture.rgb.begin(), picture.rgb.end(), levels.begin(), [](std::byte b) { return static_cast<float>(static_cast<double>(b) / 255); });
  const auto bytes = std::as_bytes(std::span(levels));
  tensor.bytes.assign(bytes.begin(), bytes.end());
  return tensor;
}

bool isPictureShape(DType dtype, const std::vector<int64_t>& shape) {
  return (dtype == DType::u8 || dtype == DType::f32) && (shape.size() == 2 || (shape.size() == 3 && (shape[2] == 3 || shape[2] == 1)));
}

Picture tensorPicture(const std::string& path, const HostTensor& tensor, std::optional<std::vector<std::byte>> alpha) {
  if (!isPictureShape(tensor.dtype, tensor.shape)) {
    throw Error({.code = "IMAGE002", .message = path + ": the tensor is no picture", .found = std::string(name(tensor.dtype)) + " " + shapeText(tensor.shape), .expected = "u8 or f32, [H, W, 3], [H, W, 1] or [H, W]"});
  }
  std::vector<std::byte> narrow = tensor.bytes;
  if (tensor.dtype == DType::f32) {
    narrow.resize(tensor.bytes.size() / sizeof(float));
    const auto* levels = reinterpret_cast<const float*>(tensor.bytes.data());
    // NaN is black, and a half goes up.
    std::transform(levels, levels + narrow.size(), narrow.begin(), [](float x) { return static_cast<std::byte>(std::floor((x > 0 ? std::min(static_cast<double>(x), 1.0) : 0.0) * 255 + 0.5)); });
  }
  const bool grey = tensor.shape.size() == 2 || tensor.shape[2] == 1;
  Picture picture{.width = tensor.shape[1], .height = tensor.shape[0], .rgb = {}, .alpha = std::move(alpha)};
  if (!grey) picture.rgb = std::move(narrow);
  else
    for (const std::byte level : narrow) picture.rgb.insert(picture.rgb.end(), 3, level);
  if (picture.alpha && picture.alpha->size() != static_cast<size_t>(picture.width * picture.height)) picture.alpha.reset();
  return picture;
}

}  // namespace sluice
