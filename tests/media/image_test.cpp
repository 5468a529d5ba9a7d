#include "daguerre/media/image.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <random>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"

using namespace daguerre;
using daguerre::test::expect_error;

namespace {

Image random_image(Index width, Index height, Index channels, unsigned seed) {
  std::mt19937 random(seed);
  Image image(width, height, channels);
  for (auto& value : image.pixels()) value = static_cast<std::uint8_t>(random() & 0xFF);
  return image;
}

Image image_of(Index width, Index height, Index channels, const std::vector<std::uint8_t>& values) {
  Image image(width, height, channels);
  REQUIRE(values.size() == image.pixels().size());
  std::ranges::copy(values, image.pixels().begin());
  return image;
}

std::vector<std::uint8_t> values_of(const Image& image) {
  return {image.pixels().begin(), image.pixels().end()};
}

std::vector<std::byte> bytes_of(const std::vector<int>& values) {
  std::vector<std::byte> bytes;
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

void append(std::vector<int>& bytes, const std::vector<int>& more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}

/// 8 x 8 grey pixels of value 135: one quantised coefficient of 7, quantiser 8, in tables of one code each.
std::vector<int> tiny_jpeg(int dc_symbols = 1) {
  std::vector<int> jpeg{0xFF, 0xD8, 0xFF, 0xDB, 0, 67, 0};
  jpeg.insert(jpeg.end(), 64, 8);
  append(jpeg, {0xFF, 0xC0, 0, 11, 8, 0, 8, 0, 8, 1, 1, 0x11, 0});
  if (dc_symbols == 1) {
    append(jpeg, {0xFF, 0xC4, 0, 20, 0x00, 1});
    jpeg.insert(jpeg.end(), 15, 0);
    jpeg.push_back(3);
  } else {
    const int length = 2 + 17 + dc_symbols;
    append(jpeg, {0xFF, 0xC4, length >> 8, length & 0xFF, 0x00});
    jpeg.insert(jpeg.end(), 14, 0);
    append(jpeg, {dc_symbols / 2, dc_symbols - dc_symbols / 2});
    jpeg.insert(jpeg.end(), static_cast<std::size_t>(dc_symbols), 3);
  }
  append(jpeg, {0xFF, 0xC4, 0, 20, 0x10, 1});
  jpeg.insert(jpeg.end(), 16, 0);
  append(jpeg, {0xFF, 0xDA, 0, 8, 1, 1, 0x00, 0, 63, 0, 0x77, 0xFF, 0xD9});
  return jpeg;
}

/// 2 x 2 pixels, 24 bits, rows from the bottom; blue first.
std::vector<int> tiny_bmp(int width = 2) {
  std::vector<int> bmp{'B', 'M', 70, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0, 0};
  append(bmp, {width & 0xFF, width >> 8, 0, 0, 2, 0, 0, 0, 1, 0, 24, 0});
  bmp.insert(bmp.end(), 24, 0);
  append(bmp, {1, 2, 3, 4, 5, 6, 0, 0, 7, 8, 9, 10, 11, 12, 0, 0});
  return bmp;
}

/// The weight of PIL's Lanczos filter.
double lanczos(double x) {
  const auto sinc = [](double t) { return t == 0.0 ? 1.0 : std::sin(t) / t; };
  return std::abs(x) < 3.0 ? sinc(std::numbers::pi * x) * sinc(std::numbers::pi * x / 3.0) : 0.0;
}

/// One axis of a resize in double: `at(i)` gives the old samples, the result sample `out` of `out_size`.
template <class F>
double resample(F at, Index in_size, Index out, Index out_size) {
  const double scale = static_cast<double>(in_size) / static_cast<double>(out_size);
  const double center = (static_cast<double>(out) + 0.5) * scale;
  double sum = 0.0, weights = 0.0;
  for (Index i = 0; i < in_size; ++i) {
    const double w = lanczos((static_cast<double>(i) + 0.5 - center) / std::max(scale, 1.0));
    sum += w * at(i);
    weights += w;
  }
  return std::clamp(std::floor(sum / weights + 0.5), 0.0, 255.0);
}

}  // namespace

TEST_CASE("pictures check their size", "[image]") {
  CHECK(Image().empty());
  CHECK(Image(3, 2, 4).pixels().size() == 24);
  expect_error<ArgumentError>([] { Image(0, 2, 3); }, {"[image]", "0 x 2"});
  expect_error<ArgumentError>([] { Image(16385, 1, 3); }, {"16385 x 1", "16384"});
  expect_error<ArgumentError>([] { Image(16384, 16384, 3); }, {"64 Mi"});
  expect_error<ArgumentError>([] { Image(2, 2, 2); }, {"2"});
  expect_error<ArgumentError>([] { (void)Image().encode_png(); }, {"empty"});
  expect_error<ArgumentError>([] { (void)Image().resized(2, 2); }, {"empty"});
}

TEST_CASE("PNG files give back the pixels that were written", "[image]") {
  const Index channels = GENERATE(1, 3, 4);
  const Image image = random_image(37, 21, channels, 5);
  const Image again = Image::decode(image.encode_png({{"parameters", "a cat"}}));
  CHECK(again.width() == 37);
  CHECK(again.height() == 21);
  CHECK(again.channels() == channels);
  CHECK(values_of(again) == values_of(image));
}

TEST_CASE("JPEG and BMP files are read", "[image]") {
  const Image jpeg = Image::decode(bytes_of(tiny_jpeg()));
  CHECK(jpeg.channels() == 1);
  CHECK(values_of(jpeg) == std::vector<std::uint8_t>(64, 135));
  const Image bmp = Image::decode(bytes_of(tiny_bmp()));
  CHECK(values_of(bmp) == std::vector<std::uint8_t>{9, 8, 7, 12, 11, 10, 3, 2, 1, 6, 5, 4});
}

TEST_CASE("files are written whole and read by path", "[image]") {
  const test::TempFolder folder;
  const auto path = folder.path() / "out.png";
  const Image image = random_image(5, 4, 3, 1);
  image.save_png(path, {{"parameters", "first"}});
  image.save_png(path, {{"parameters", "second"}});
  CHECK(values_of(Image::load(path)) == values_of(image));
  CHECK(read_png_text(path) == PngText{{"parameters", "second"}});
  // Nothing but the picture is left in the folder.
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
  expect_error<FileError>([&] { image.save_png(folder.path() / "none" / "a.png"); }, {"[image]", "a.png"});
  expect_error<FileError>([&] { (void)Image::load(folder.path() / "absent.png"); }, {"absent.png"});
  expect_error<FileError>([&] { (void)Image::load(folder.path()); }, {folder.path().string()});
  expect_error<FileError>([&] { read_png_text(folder.path() / "absent.png"); }, {"absent.png"});
}

TEST_CASE("pictures that are too large are refused before they are decoded", "[image]") {
  auto png = Image(2, 2, 3).encode_png();
  png[16 + 1] = std::byte{1};  // the width's second byte: 65538
  expect_error<FormatError>([&] { (void)Image::decode(png, "x.png"); }, {"x.png", "65538", "16384"});
  png[16 + 1] = std::byte{0};
  png[16 + 2] = png[20 + 2] = std::byte{0x3F};  // 16130 x 16130
  expect_error<FormatError>([&] { (void)Image::decode(png, "x.png"); }, {"x.png", "16130 x 16130", "64 Mi"});
  expect_error<FormatError>([&] { (void)Image::decode(bytes_of(tiny_bmp(20000))); }, {"20000 x 2"});
}

TEST_CASE("malformed pictures are errors that name the file", "[image]") {
  expect_error<FormatError>([] { (void)Image::decode({}, "a.png"); },
                            {"a.png", "expected PNG, JPEG, BMP, GIF, PPM, WebP or TIFF"});
  expect_error<FormatError>(
      [] {
        (void)Image::decode(bytes_of({'G', 'I', 'F', '8', '9', 'a'}));
      },
      {"cannot be decoded: the GIF picture is cut short"});
  const auto png = random_image(9, 9, 3, 2).encode_png();
  expect_error<FormatError>([&] { (void)Image::decode(std::span(png).first(png.size() / 2), "b.png"); },
                            {"b.png", "cannot be decoded"});
  // stb 2.27 would write behind its table.
  expect_error<FormatError>([] { (void)Image::decode(bytes_of(tiny_jpeg(400)), "c.jpg"); },
                            {"c.jpg", "Huffman"});
}

TEST_CASE("damaged pictures never do worse than throw", "[image][fuzz]") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const std::vector<std::vector<std::byte>> files{
      random_image(9, 7, 3, 1).encode_png({{"parameters", "text"}, {"unicode", "\u65e5\u672c"}}),
      bytes_of(tiny_jpeg()), bytes_of(tiny_bmp())};
  int read = 0, refused = 0;
  for (int run = 0; run < 3000; ++run) {
    auto file = files[random() % files.size()];
    for (unsigned edits = 1 + random() % 4; edits > 0; --edits)
      file[random() % file.size()] = static_cast<std::byte>(random() & 0xFF);
    if (random() % 4 == 0) file.resize(random() % file.size());
    try {
      (void)Image::decode(file);
      ++read;
    } catch (const FormatError&) {
      ++refused;
    }
    try {
      (void)decode_png_text(file);
    } catch (const FormatError&) {
    }
  }
  CHECK(read > 0);
  CHECK(refused > 0);
}

TEST_CASE("channels are converted as PIL does", "[image]") {
  const Image rgba = image_of(2, 1, 4, {255, 0, 0, 7, 10, 200, 30, 255});
  CHECK(values_of(rgba.to_channels(3)) == std::vector<std::uint8_t>{255, 0, 0, 10, 200, 30});
  CHECK(values_of(rgba.to_channels(1)) == std::vector<std::uint8_t>{76, 124});
  CHECK(values_of(rgba.to_channels(3).to_channels(4)) ==
        std::vector<std::uint8_t>{255, 0, 0, 255, 10, 200, 30, 255});
  const Image grey = image_of(2, 1, 1, {0, 90});
  CHECK(values_of(grey.to_channels(3)) == std::vector<std::uint8_t>{0, 0, 0, 90, 90, 90});
  CHECK(values_of(grey.to_channels(4)) == std::vector<std::uint8_t>{0, 0, 0, 255, 90, 90, 90, 255});
  CHECK(values_of(grey.to_channels(1)) == values_of(grey));
  // The weights sum to one, so grey stays grey.
  for (int v = 0; v < 256; ++v) {
    const auto value = static_cast<std::uint8_t>(v);
    REQUIRE(image_of(1, 1, 3, {value, value, value}).to_channels(1).pixels()[0] == value);
  }
  expect_error<ArgumentError>([&] { (void)grey.to_channels(2); }, {"found 2"});
}

TEST_CASE("resizing agrees with the Lanczos formula", "[image]") {
  struct Size {
    Index width, height;
  };
  const Size to = GENERATE(Size{8, 6}, Size{40, 30}, Size{5, 33}, Size{19, 23}, Size{1, 1}, Size{13, 4});
  const Image in = random_image(13, 17, 3, 3);
  const Image out = in.resized(to.width, to.height);
  REQUIRE(out.width() == to.width);
  REQUIRE(out.height() == to.height);
  int largest = 0, unequal = 0;
  for (Index c = 0; c < 3; ++c)
    for (Index x = 0; x < to.width; ++x) {
      const auto row = [&](Index y) {
        const auto at = [&](Index i) {
          return static_cast<double>(in.pixels()[static_cast<std::size_t>((y * 13 + i) * 3 + c)]);
        };
        return resample(at, 13, x, to.width);
      };
      for (Index y = 0; y < to.height; ++y) {
        const double expected = resample(row, 17, y, to.height);
        const int actual = out.pixels()[static_cast<std::size_t>((y * to.width + x) * 3 + c)];
        const int error = std::abs(actual - static_cast<int>(expected));
        largest = std::max(largest, error);
        unequal += error != 0;
      }
    }
  // Weights of 22 bits decide a tie otherwise than doubles do once in a very long while.
  CHECK(largest <= 1);
  CHECK(unequal <= 1);
}

TEST_CASE("resizing keeps what it must", "[image]") {
  const Image image = random_image(6, 5, 3, 4);
  CHECK(values_of(image.resized(6, 5)) == values_of(image));
  const Image constant = image_of(3, 1, 1, {77, 77, 77});
  for (const Index size : {1, 2, 5, 64})
    CHECK(values_of(constant.resized(size, size)) ==
          std::vector<std::uint8_t>(static_cast<std::size_t>(size * size), 77));
  // The colour of a transparent pixel must not bleed into its neighbours.
  const Image edge = image_of(4, 1, 4, {255, 0, 0, 0, 255, 0, 0, 0, 0, 200, 0, 255, 0, 200, 0, 255});
  const Image wide = edge.resized(16, 1);
  for (std::size_t i = 0; i < 16; ++i)
    if (wide.pixels()[4 * i + 3] > 0) CHECK(wide.pixels()[4 * i] == 0);
  CHECK(wide.pixels().back() > 200);
  const Image four = image_of(4, 1, 1, {1, 2, 3, 4});
  CHECK(values_of(four.resized(2, 1, Resampling::nearest)) == std::vector<std::uint8_t>{2, 4});
  CHECK(values_of(four.resized(8, 1, Resampling::nearest)) ==
        std::vector<std::uint8_t>{1, 1, 2, 2, 3, 3, 4, 4});
  CHECK(values_of(image_of(1, 2, 3, {1, 2, 3, 4, 5, 6}).resized(1, 4, Resampling::nearest)) ==
        std::vector<std::uint8_t>{1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6});
  expect_error<ArgumentError>([&] { (void)four.resized(0, 1); }, {"0 x 1"});
  expect_error<ArgumentError>([&] { (void)four.resized(4, 0); }, {"4 x 0"});
  expect_error<ArgumentError>([&] { (void)four.resized(Index{1} << 60, 1); }, {"16384"});
}

TEST_CASE("pixels become tensors and come back", "[image]") {
  Image image(16, 16, 1);
  for (std::size_t i = 0; i < 256; ++i) image.pixels()[i] = static_cast<std::uint8_t>(i);
  const auto tensor = to_tensor(image);
  CHECK(tensor.shape() == Shape{1, 16, 16, 1});
  CHECK(tensor.data()[0] == -1.0f);
  CHECK(tensor.data()[255] == 1.0f);
  CHECK(tensor.data()[51] == 2.0f * 0.2f - 1.0f);
  CHECK(to_unit_tensor(image).data()[51] == 0.2f);
  CHECK(values_of(to_image(tensor)) == values_of(image));
}

TEST_CASE("decoded values are clamped and rounded half to even", "[image]") {
  // Halves of the interval [0, 1] that lie between two 8-bit values: 0.5 * 255 = 127.5, 0.3 * 255 = 76.5.
  const std::array<float, 6> values{-1.5f, -1.0f, 0.0f, 1.0f, 7.0f, -0.4f};
  const auto decoded = Tensor<float>::copy_of({2, 1, 1, 3}, values);
  CHECK(values_of(to_image(decoded, 0)) == std::vector<std::uint8_t>{0, 0, 128});
  CHECK(values_of(to_image(decoded, 1)) == std::vector<std::uint8_t>{255, 255, 76});
  CHECK(denormalise(decoded).data()[5] * 255.0f == 76.5f);
  expect_error<ArgumentError>([&] { to_image(decoded, 2); }, {"[2, 1, 1, 3]"});
  expect_error<ArgumentError>([&] { to_image(decoded.reshape({2, 3})); }, {"[N, H, W, C]", "[2, 3]"});
  auto broken = decoded.clone();
  broken.data()[4] = std::numeric_limits<float>::quiet_NaN();
  CHECK_NOTHROW(to_image(broken, 0));
  expect_error<NumericError>([&] { to_image(broken, 1); }, {"NaN"});
}
