// Pictures in files: exact both ways as PNG, close as JPEG, and every damage refused by name. That they are what sharp makes of
// the same files is tested over whole executables.
#include <doctest/doctest.h>

#include <cmath>

#include "io/pictures.h"
#include "tests/io-support.h"

namespace sluice::test {
namespace {

Picture sample(int64_t width, int64_t height, bool alpha) {
  Picture picture{.width = width, .height = height, .rgb = {}, .alpha = std::nullopt};
  for (int64_t i = 0; i < 3 * width * height; i++) picture.rgb.push_back(static_cast<std::byte>(i * 37 % 256));
  if (alpha) {
    picture.alpha.emplace();
    for (int64_t i = 0; i < width * height; i++) picture.alpha->push_back(static_cast<std::byte>(i * 91 % 256));
  }
  return picture;
}
std::string encoded(const std::string& path, const Picture& picture) { return textOf(encodePicture(path, picture)); }
std::string refused(const std::string& text) { return refusal([&] { decodePicture("p", bytesOf(text)); }); }

TEST_CASE("a PNG gives back every pixel, with and without alpha, down to one pixel") {
  for (const bool alpha : {false, true}) {
    for (const auto& [width, height] : {std::pair{1, 1}, {5, 4}, {3, 200}}) {
      const Picture picture = sample(width, height, alpha);
      const Picture read = decodePicture("p.png", encodePicture("p.png", picture));
      CHECK(read.width == width);
      CHECK(read.height == height);
      CHECK(read.rgb == picture.rgb);
      CHECK((read.alpha == picture.alpha));
    }
  }
}

TEST_CASE("a JPEG is close to what was written, and lies on black where it was transparent") {
  Picture picture{.width = 16, .height = 16, .rgb = std::vector<std::byte>(768, std::byte{200}), .alpha = std::vector<std::byte>(256, std::byte{128})};
  for (const char* path : {"p.jpg", "p.JPEG"}) {
    const Picture read = decodePicture(path, encodePicture(path, picture));
    CHECK(!read.alpha);
    for (const std::byte level : read.rgb) CHECK(std::abs(static_cast<int>(level) - 200 * 128 / 255) <= 1);
  }
}

TEST_CASE("every truncation of a picture and every flipped bit of a PNG is refused") {
  const std::string png = encoded("p.png", sample(5, 4, true));
  const std::string jpeg = encoded("p.jpg", sample(9, 9, false));
  for (const std::string& file : {png, jpeg}) {
    for (size_t length = 0; length < file.size(); length++) CHECK(refused(file.substr(0, length)).starts_with("error IMAGE001: p: not a picture that can be read"));
  }
  for (size_t bit = 0; bit < 8 * png.size(); bit++) {
    std::string flipped = png;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << (bit % 8));
    CHECK(refused(flipped).starts_with("error IMAGE001: p: "));
  }
}

/** The PNG with another size in its header, and a checksum that fits. */
std::string resized(std::string png, uint32_t width, uint32_t height) {
  constexpr size_t HEADER = 12, SIZE = 16, LENGTH = 17;
  for (size_t i = 0; i < 4; i++) {
    png[SIZE + i] = static_cast<char>(width >> (24 - 8 * i));
    png[SIZE + 4 + i] = static_cast<char>(height >> (24 - 8 * i));
  }
  uint32_t crc = ~0U;
  for (size_t i = 0; i < LENGTH; i++) {
    crc ^= static_cast<uint8_t>(png[HEADER + i]);
    for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ 0xedb88320U : crc >> 1;
  }
  for (size_t i = 0; i < 4; i++) png[HEADER + LENGTH + i] = static_cast<char>(~crc >> (24 - 8 * i));
  return png;
}

TEST_CASE("a picture whose size its data cannot fill, or whose data its size cannot hold, is refused before it takes memory") {
  const std::string small = encoded("p.png", sample(5, 4, false));
  const std::string head = "error IMAGE001: p: not a picture that can be read\n  found:    ";
  CHECK(refused(resized(small, 16000, 16000)).starts_with(head + "less data than its size takes"));
  CHECK(refused(resized(small, 16384, 16384)) == "error IMAGE001: p: the picture is too large\n  found:    16384 x 16384\n  expected: at most 268402689 pixels");
  CHECK(refused(resized(small, UINT32_MAX, UINT32_MAX)).starts_with("error IMAGE001: p: the picture is too large"));
  const Picture large{.width = 1000, .height = 1000, .rgb = std::vector<std::byte>(3'000'000), .alpha = std::nullopt};
  CHECK(refused(resized(encoded("p.png", large), 2, 2)).starts_with(head + "more data than its size takes"));
  CHECK(refused(std::string(small).insert(33, std::string("\0\0\0\0IDAT\x35\xaf\x06\x1e", 12))).starts_with(head + "an empty chunk before all data"));
  std::string jpeg = encoded("p.jpg", sample(9, 9, false));
  const size_t frame = jpeg.find("\xff\xc0");
  jpeg.replace(frame + 5, 4, "\x3f\xff\x3f\xff");
  CHECK(refused(jpeg).starts_with(head + "less data than its size takes"));
}

TEST_CASE("flipped bits of a JPEG are refused or give a picture of a size that is allowed") {
  const std::string jpeg = encoded("p.jpg", sample(9, 9, false));
  for (size_t bit = 0; bit < 8 * jpeg.size(); bit += 3) {
    std::string flipped = jpeg;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << (bit % 8));
    try {
      const Picture picture = decodePicture("p", bytesOf(flipped));
      CHECK(picture.rgb.size() == static_cast<size_t>(3 * picture.width * picture.height));
    } catch (const Error& error) {
      CHECK(error.diagnostic.code == "IMAGE001");
    }
  }
}

TEST_CASE("a JPEG with a Huffman table of more codes than there are bytes is refused") {
  std::string jpeg = encoded("p.jpg", sample(9, 9, false));
  jpeg.replace(jpeg.find("\xff\xc4") + 5, 2, "\xff\xff");
  CHECK(refused(jpeg) == "error IMAGE001: p: not a picture that can be read\n  found:    a damaged Huffman table\n  expected: PNG or JPEG");
}

TEST_CASE("other formats are named, and other things are no pictures") {
  CHECK(refused("GIF89a......") == "error IMAGE001: p: pictures of this format are not read\n  found:    gif\n  expected: PNG or JPEG");
  CHECK(refused("RIFF\1\1\1\1WEBPVP8L").find("found:    webp") != std::string::npos);
  CHECK(refused("no picture at all") == "error IMAGE001: p: not a picture that can be read\n  found:    neither PNG nor JPEG\n  expected: PNG or JPEG");
}

TEST_CASE("a picture that claims more pixels than are allowed is refused before memory is taken") {
  const std::string start("\xff\xd8\xff\xc0\0\x0b\x08\xff\xff\xff\xff\x01\x01\x11\0\xff\xd9", 17);
  CHECK(refused(start) == "error IMAGE001: p: the picture is too large\n  found:    65535 x 65535\n  expected: at most 268402689 pixels");
}

/** A JPEG with an EXIF orientation, in either byte order. */
std::string turned(const std::string& jpeg, int orientation, bool little) {
  const std::string count = little ? std::string("\1\0", 2) : std::string("\0\1", 2);
  const std::string tag = little ? std::string("\x12\x01\3\0\1\0\0\0", 8) : std::string("\x01\x12\0\3\0\0\0\1", 8);
  const std::string value = little ? std::string(1, static_cast<char>(orientation)) + std::string(3, '\0') : std::string(1, '\0') + static_cast<char>(orientation) + std::string(2, '\0');
  const std::string tiff = (little ? std::string("II*\0\x08\0\0\0", 8) : std::string("MM\0*\0\0\0\x08", 8)) + count + tag + value + std::string(4, '\0');
  const std::string segment = std::string("Exif\0\0", 6) + tiff;
  return jpeg.substr(0, 2) + "\xff\xe1" + std::string(1, '\0') + static_cast<char>(segment.size() + 2) + segment + jpeg.substr(2);
}

TEST_CASE("EXIF orientation is honoured") {
  // Left half white: where the white half is tells how it was turned.
  Picture picture{.width = 32, .height = 16, .rgb = {}, .alpha = std::nullopt};
  for (int i = 0; i < 32 * 16; i++) picture.rgb.insert(picture.rgb.end(), 3, std::byte(i % 32 < 16 ? 255 : 0));
  const std::string jpeg = encoded("p.jpg", picture);
  const char* white[] = {"left", "right", "right", "left", "top", "top", "bottom", "bottom"};
  for (int orientation = 1; orientation <= 8; orientation++) {
    for (const bool little : {false, true}) {
      const Picture read = decodePicture("p.jpg", bytesOf(turned(jpeg, orientation, little)));
      const auto at = [&](int64_t y, int64_t x) { return read.rgb[static_cast<size_t>(3 * (y * read.width + x))] > std::byte{128}; };
      const int64_t bottom = read.height - 1;
      const int64_t right = read.width - 1;
      const bool upright = orientation <= 4;
      CHECK(read.width == (upright ? 32 : 16));
      const std::string found = upright ? (at(0, 0) && !at(bottom, right) ? "left" : "right") : (at(0, right) && !at(bottom, 0) ? "top" : "bottom");
      CHECK(found == white[orientation - 1]);
    }
  }
}

TEST_CASE("resizing keeps what is flat flat, gives the size that was asked for and carries alpha") {
  Picture picture{.width = 40, .height = 30, .rgb = std::vector<std::byte>(3600, std::byte{77}), .alpha = std::vector<std::byte>(1200, std::byte{9})};
  for (const auto& [height, width] : {std::pair{3, 4}, {60, 20}, {31, 41}, {30, 40}, {1, 1}}) {
    const Picture resized = resizePicture(picture, height, width);
    CHECK(resized.width == width);
    CHECK(resized.height == height);
    CHECK(resized.rgb == std::vector<std::byte>(static_cast<size_t>(3 * width * height), std::byte{77}));
    CHECK((resized.alpha == std::vector<std::byte>(static_cast<size_t>(width * height), std::byte{9})));
  }
}

TEST_CASE("pictures are tensors and back: levels from 0 to 1 are cut and rounded") {
  const Picture picture = sample(3, 2, true);
  const HostTensor bytes = pictureTensor(picture, DType::u8);
  CHECK(bytes.shape == std::vector<int64_t>{2, 3, 3});
  CHECK(bytes.bytes == picture.rgb);
  const HostTensor levels = pictureTensor(picture, DType::f32);
  CHECK(elementAt(levels, 1) == static_cast<double>(static_cast<float>(37.0 / 255)));
  CHECK(tensorPicture("p", levels, picture.alpha).rgb == picture.rgb);
  CHECK((tensorPicture("p", levels, picture.alpha).alpha == picture.alpha));
  CHECK(!tensorPicture("p", levels, std::vector<std::byte>(5)).alpha);
  const Picture grey = tensorPicture("p", tensorOf(DType::f32, {1, 5}, {-1, 0, 0.5, 1, 7}), std::nullopt);
  CHECK(grey.rgb[0] == std::byte{0});
  CHECK(grey.rgb[7] == std::byte{128});
  CHECK(grey.rgb[14] == std::byte{255});
  CHECK(refusal([] { tensorPicture("p", tensorOf(DType::f32, {2}, {1, 2}), std::nullopt); }) == "error IMAGE002: p: the tensor is no picture\n  found:    f32 [2]\n  expected: u8 or f32, [H, W, 3], [H, W, 1] or [H, W]");
}

}  // namespace
}  // namespace sluice::test
