// What procedures of an executable do with files: by ending, checked on both sides, with alpha kept aside.
#include <doctest/doctest.h>

#include "io/file-host.h"
#include "io/pictures.h"
#include "io/tensor-files.h"
#include "tests/io-support.h"

namespace sluice::test {
namespace {

TEST_CASE("a tensor goes to the file that its ending says, and comes back from it") {
  const Folder folder;
  FileHost host;
  const HostTensor tensor = tensorOf(DType::f32, {2}, {1, 2});
  host.write(folder.at("new/t.npy"), tensor);
  CHECK(host.read(folder.at("new/t.npy"), {{"any", DType::f32, {-1}}})[0].bytes == tensor.bytes);
  host.write(folder.at("t.SAFETENSORS"), tensor);
  CHECK(host.read(folder.at("t.SAFETENSORS"), {{"value", DType::f32, {2}}})[0].bytes == tensor.bytes);
  CHECK(refusal([&] { host.write("t.webp", tensor); }) == "error FILE002: t.webp: a tensor cannot be written to such a file\n  expected: .png, .jpg, .npy or .safetensors");
  CHECK(refusal([&] { host.read("t.txt", {}); }) == "error FILE002: t.txt: tensors cannot be read from such a file\n  expected: .safetensors or .npy");
}

TEST_CASE("loading lists everything that is missing, extra and misshapen") {
  const Folder folder;
  FileHost host;
  const std::string path = folder.at("w.safetensors");
  host.save(path, {{"a", tensorOf(DType::f32, {2}, {1, 2})}, {"c", tensorOf(DType::f32, {}, {1})}, {"d", tensorOf(DType::u8, {1}, {1})}});
  CHECK(host.read(path, {{"c", DType::f32, {}}, {"a", DType::f32, {2}}})[1].shape == std::vector<int64_t>{2});
  CHECK(refusal([&] { host.load(path, {{"a", DType::f32, {3}}, {"b", DType::f32, {-1, 4}}, {"d", DType::u8, {1}}}); }) ==
        "error LOAD001: " + path + ": the file's tensors are not those that are wanted\n  found:    missing: `b` f32 [?, 4]; extra: `c`; misshapen: `a` f32 [2] instead of f32 [3]");
  std::vector<WantedTensor> many;
  for (int i = 0; i < 10; i++) many.push_back({"m" + std::to_string(i), DType::i32, {}});
  CHECK(refusal([&] { host.read(path, many); }).ends_with("`m7` i32 [] and 2 more"));
}

TEST_CASE("the alpha of a picture that was read comes back on a result of its size") {
  const Folder folder;
  FileHost host;
  Picture picture{.width = 2, .height = 2, .rgb = std::vector<std::byte>(12, std::byte{10}), .alpha = std::vector<std::byte>{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{255}}};
  const std::vector<std::byte> file = encodePicture("p.png", picture);
  put(folder.at("p.png"), textOf(file));
  const HostTensor pixels = host.pixels(folder.at("p.png"), DType::u8, std::nullopt);
  CHECK(pixels.bytes == picture.rgb);
  host.write(folder.at("same.png"), pixels);
  host.write(folder.at("other.png"), tensorOf(DType::u8, {1, 2, 3}, {1, 2, 3, 4, 5, 6}));
  CHECK((decodePicture("p", readFile(folder.at("same.png"))).alpha == picture.alpha));
  CHECK(!decodePicture("p", readFile(folder.at("other.png"))).alpha);
  const HostTensor levels = host.pixels(std::make_shared<const Picture>(picture), DType::f32, std::array<int64_t, 2>{4, 3});
  CHECK(levels.shape == std::vector<int64_t>{4, 3, 3});
}

}  // namespace
}  // namespace sluice::test
