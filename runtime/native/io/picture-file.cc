#include "io/picture-file.h"

#include <array>
#include <limits>
#include <optional>
#include <stb/stb_image.h>

namespace sluice {
namespace {

/** The most pixels that a picture may have: a small file must not ask for all memory. */
constexpr uint64_t PIXEL_LIMIT = uint64_t{0x3fff} * 0x3fff;
/** A profile of colours is a few KiB, or up to 2 MiB where it is a table. */
constexpr size_t PROFILE_LIMIT = size_t{4} << 20;
/** DEFLATE makes at most so many bytes of one. */
constexpr uint64_t MOST_INFLATED = 1032;
/** Each block of 8 x 8 takes a bit at least. */
constexpr uint64_t MOST_JPEG_PIXELS = uint64_t{64} * 8;

[[noreturn]] void refuse(const std::string& path, const std::string& message, const std::string& found, const std::string& expected = "", const std::string& hint = "") {
  throw Error({.code = "IMAGE001", .message = path + ": " + message, .found = found, .expected = expected, .hint = hint});
}
constexpr const char* TOO_SHORT = "less data than its size takes";
[[noreturn]] void damaged(const std::string& path, const std::string& found) { refuse(path, "not a picture that can be read", found, "PNG or JPEG"); }

uint8_t byteAt(Bytes bytes, size_t at) { return static_cast<uint8_t>(bytes[at]); }
uint32_t big(Bytes bytes, size_t at, size_t width) {
  uint32_t value = 0;
  for (size_t i = 0; i < width; i++) value = value << 8 | byteAt(bytes, at + i);
  return value;
}
std::string_view textOf(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/** Bits of a pixel in a PNG; 0 for a kind of colour that there is not. */
uint64_t bitsPerPixel(uint64_t depth, uint64_t colour) {
  constexpr std::array<uint64_t, 7> CHANNELS{1, 0, 3, 1, 2, 0, 4};
  return colour < CHANNELS.size() ? depth * CHANNELS[colour] : 0;
}

uint64_t limitedPixels(const std::string& path, uint64_t width, uint64_t height) {
  if (width == 0 || height == 0) damaged(path, "a picture without pixels");
  if (width * height > PIXEL_LIMIT) refuse(path, "the picture is too large", std::to_string(width) + " x " + std::to_string(height), "at most " + std::to_string(PIXEL_LIMIT) + " pixels");
  return width * height;
}

/** The CRC that PNG uses, of the type and the data of a chunk. */
uint32_t crc32(Bytes bytes) {
  static const std::array<uint32_t, 256> table = [] {
    std::array<uint32_t, 256> t{};
    for (uint32_t i = 0; i < 256; i++) {
      uint32_t c = i;
      for (int bit = 0; bit < 8; bit++) c = c & 1 ? c >> 1 ^ 0xedb88320U : c >> 1;
      t[i] = c;
    }
    return t;
  }();
  uint32_t crc = ~0U;
  for (const std::byte b : bytes) crc = table[(crc ^ static_cast<uint8_t>(b)) & 255] ^ crc >> 8;
  return ~crc;
}

/** The orientation in a TIFF structure, which is what EXIF is; 1 where there is none. */
int exifOrientation(Bytes tiff) {
  if (tiff.size() < 14) return 1;
  const bool little = textOf(tiff).starts_with("II");
  const auto number = [&](size_t at, size_t width) {
    uint32_t value = 0;
    for (size_t i = 0; i < width; i++) value |= uint32_t{byteAt(tiff, at + i)} << (8 * (little ? i : width - 1 - i));
    return value;
  };
  const size_t directory = number(4, 4);
  if (directory + 2 > tiff.size()) return 1;
  const size_t count = number(directory, 2);
  for (size_t i = 0; i < count; i++) {
    const size_t entry = directory + 2 + 12 * i;
    if (entry + 12 > tiff.size()) return 1;
    constexpr uint32_t ORIENTATION = 0x0112;
    if (number(entry, 2) != ORIENTATION) continue;
    const uint32_t value = number(entry + 8, 2);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

/** What a colour profile calls itself, as far as it is ASCII. */
std::string profileName(Bytes profile) {
  constexpr size_t HEADER = 128;
  if (profile.size() < HEADER + 4) return "";
  const size_t count = big(profile, HEADER, 4);
  for (size_t i = 0; i < count; i++) {
    const size_t entry = HEADER + 4 + 12 * i;
    if (entry + 12 > profile.size()) return "";
    const size_t offset = big(profile, entry + 4, 4);
    const size_t length = big(profile, entry + 8, 4);
    if (textOf(profile.subspan(entry, 4)) != "desc" || offset > profile.size() || length > profile.size() - offset) continue;
    const std::string_view tag = textOf(profile.subspan(offset, length));
    // Past the tag's type and its lengths; version 4 has languages too, and two bytes a letter.
    std::string name;
    for (const char c : tag.substr(std::min<size_t>(length, tag.starts_with("mluc") ? 28 : 12))) {
      if (c >= ' ' && c <= '~') name += c;
    }
    return name.substr(0, 60);
  }
  return "";
}

void refuseOtherColours(const std::string& path, Bytes profile) {
  const std::string name = profileName(profile);
  if (name.find("sRGB") == std::string::npos) {
    refuse(path, "the picture's colour profile is not sRGB", name.empty() ? "a profile without a name" : name, "sRGB", "convert it to sRGB, or read it with `sluice run`, which converts");
  }
}

PictureFile inspectPng(const std::string& path, Bytes bytes) {
  PictureFile file{.format = PictureFile::Format::png};
  size_t at = 8;
  uint64_t bits = 0;
  uint64_t packed = 0;
  for (bool ended = false; !ended;) {
    if (bytes.size() - at < 12) damaged(path, "the file is cut short");
    const size_t length = big(bytes, at, 4);
    if (length > bytes.size() - at - 12) damaged(path, "the file is cut short");
    const std::string_view type = textOf(bytes.subspan(at + 4, 4));
    const Bytes data = bytes.subspan(at + 8, length);
    if (crc32(bytes.subspan(at + 4, 4 + length)) != big(bytes, at + 8 + length, 4)) damaged(path, "chunk " + std::string(type) + " does not match its checksum");
    if (at == 8) {
      if (type != "IHDR" || length < 13) damaged(path, "no header");
      file.pixels = limitedPixels(path, big(data, 0, 4), big(data, 4, 4));
      bits = file.pixels * bitsPerPixel(byteAt(data, 8), byteAt(data, 9));
    } else if (type == "IDAT") {
      // The decoder would copy nothing to nowhere.
      if (packed + length == 0) damaged(path, "an empty chunk before all data");
      packed += length;
    } else if (type == "eXIf") {
      file.orientation = exifOrientation(data);
    } else if (type == "iCCP") {
      const size_t name = textOf(data).find('\0');
      if (name == std::string_view::npos || name + 2 > data.size()) damaged(path, "a damaged colour profile");
      const Bytes zipped = data.subspan(name + 2);
      std::vector<std::byte> profile(PROFILE_LIMIT);
      const int size = stbi_zlib_decode_buffer(reinterpret_cast<char*>(profile.data()), static_cast<int>(profile.size()), reinterpret_cast<const char*>(zipped.data()), static_cast<int>(zipped.size()));
      if (size < 0) damaged(path, "a colour profile that is damaged or larger than " + std::to_string(PROFILE_LIMIT) + " bytes");
      refuseOtherColours(path, Bytes(profile).first(static_cast<size_t>(size)));
    }
    ended = type == "IEND";
    at += 12 + length;
  }
  if (bits / 8 > packed * MOST_INFLATED) damaged(path, TOO_SHORT);
  return file;
}

/** The decoder would write past the end of a table with more codes than there are bytes. */
void requireHuffmanTables(const std::string& path, Bytes data) {
  constexpr size_t LENGTHS = 16, MOST_CODES = 256;
  while (!data.empty()) {
    size_t codes = 0;
    for (size_t i = 1; i <= LENGTHS && i < data.size(); i++) codes += byteAt(data, i);
    if (codes > MOST_CODES || 1 + LENGTHS + codes > data.size()) damaged(path, "a damaged Huffman table");
    data = data.subspan(1 + LENGTHS + codes);
  }
}

PictureFile inspectJpeg(const std::string& path, Bytes bytes) {
  PictureFile file{.format = PictureFile::Format::jpeg};
  std::vector<std::byte> profile;
  constexpr uint8_t TABLES = 0xc4, SCAN = 0xda, END = 0xd9, EXIF = 0xe1, PROFILE = 0xe2;
  bool framed = false;
  for (size_t at = 2;;) {
    while (at < bytes.size() && byteAt(bytes, at) != 0xff) at++;  // the data of a scan
    while (at < bytes.size() && byteAt(bytes, at) == 0xff) at++;
    if (at >= bytes.size()) damaged(path, "the file is cut short");
    const uint8_t marker = byteAt(bytes, at++);
    if (marker == END) break;
    const bool alone = marker == 0 || marker == 1 || (marker >= 0xd0 && marker <= 0xd8);
    if (alone) continue;
    if (bytes.size() - at < 2) damaged(path, "the file is cut short");
    const size_t length = big(bytes, at, 2);
    if (length < 2 || length > bytes.size() - at) damaged(path, "the file is cut short");
    const Bytes data = bytes.subspan(at + 2, length - 2);
    const bool frame = marker >= 0xc0 && marker <= 0xcf && marker != TABLES && marker != 0xc8 && marker != 0xcc;
    if (frame) {
      if (data.size() < 6) damaged(path, "a damaged header");
      file.pixels = limitedPixels(path, big(data, 3, 2), big(data, 1, 2));
      if (file.pixels / MOST_JPEG_PIXELS > bytes.size()) damaged(path, TOO_SHORT);
      if (byteAt(data, 5) == 4) refuse(path, "the picture is in CMYK", "4 channels", "RGB or grey", "convert it to sRGB, or read it with `sluice run`, which converts");
      framed = true;
    } else if (marker == TABLES) {
      requireHuffmanTables(path, data);
    } else if (marker == EXIF && textOf(data).starts_with(std::string_view("Exif\0\0", 6))) {
      file.orientation = exifOrientation(data.subspan(6));
    } else if (marker == PROFILE && textOf(data).starts_with(std::string_view("ICC_PROFILE\0", 12)) && data.size() > 14) {
      profile.insert(profile.end(), data.begin() + 14, data.end());
    } else if (marker == SCAN && !framed) {
      damaged(path, "data before its header");
    }
    at += length;
  }
  if (!profile.empty()) refuseOtherColours(path, profile);
  return file;
}

/** The name of a format that is known but not read. */
std::optional<std::string> otherFormat(std::string_view text) {
  if (text.starts_with("RIFF") && text.substr(0, 12).ends_with("WEBP")) return "webp";
  if (text.starts_with("GIF8")) return "gif";
  if (text.starts_with(std::string_view("II*\0", 4)) || text.starts_with(std::string_view("MM\0*", 4))) return "tiff";
  if (text.size() > 12 && text.substr(4, 4) == "ftyp") return "heif";
  return std::nullopt;
}

}  // namespace

PictureFile inspectPicture(const std::string& path, Bytes bytes) {
  const std::string_view text = textOf(bytes);
  if (text.size() > std::numeric_limits<int>::max()) refuse(path, "the file is too large", std::to_string(text.size()) + " bytes", "less than 2 GiB");
  if (text.starts_with("\x89PNG\r\n\x1a\n")) return inspectPng(path, bytes);
  if (text.starts_with("\xff\xd8\xff")) return inspectJpeg(path, bytes);
  if (const auto other = otherFormat(text)) refuse(path, "pictures of this format are not read", *other, "PNG or JPEG");
  damaged(path, "neither PNG nor JPEG");
}

}  // namespace sluice
