// Values that go out and come back: conversions, the writer, recorded files.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "daguerre/core/error.hpp"
#include "daguerre/weights/safetensors.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"

using namespace daguerre;
using weights::DType;
using weights::SafetensorsFile;
using weights::SafetensorsWriter;

namespace {

// A file of one byte and then the tensor "w", which so lies at an odd address for sure.
template <class T>
SafetensorsFile odd_file(std::string_view dtype, const std::vector<T>& values) {
  const std::size_t bytes = values.size() * sizeof(T);
  std::string data(1 + bytes, '\0');
  std::memcpy(data.data() + 1, values.data(), bytes);
  std::string header = R"({"pad":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"w":{"dtype":")" +
                       std::string(dtype) + R"(","shape":[)" + std::to_string(values.size()) +
                       R"(],"data_offsets":[1,)" + std::to_string(bytes + 1) + "]}}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  return SafetensorsFile::from_memory(test::as_buffer(test::safetensors_text(header, data)), "odd");
}

template <class To, class From>
std::vector<To> read(std::string_view dtype, const std::vector<From>& values) {
  const auto tensor = odd_file(dtype, values).template read<To>("w");
  return {tensor.span().begin(), tensor.span().end()};
}

template <class From>
void reads_everywhere(std::string_view dtype, const std::vector<From>& values,
                      const std::vector<int>& expected) {
  INFO(dtype);
  const auto as = [&]<class To>(To) {
    std::vector<To> wanted;
    for (const int value : expected) wanted.push_back(convert<To>(value));
    CHECK(read<To>(dtype, values) == wanted);
  };
  as(float{}), as(double{}), as(bfloat16{}), as(half{}), as(std::int32_t{}), as(std::int64_t{});
}

template <class T>
std::vector<T> of(std::initializer_list<int> values) {
  std::vector<T> result;
  for (const int value : values) result.push_back(convert<T>(value));
  return result;
}

Tensor<float> arange(const Shape& shape) {
  Tensor<float> tensor(shape);
  for (Index i = 0; i < tensor.size(); ++i) tensor.data()[i] = static_cast<float>(i) - 2.5f;
  return tensor;
}

}  // namespace

TEST_CASE("every element type is read as every other, at odd offsets", "[weights][safetensors]") {
  const auto small = {0, 1, 2, 3, 100, 127, 64, 5, 6, 7, 8};
  reads_everywhere("U8", of<std::uint8_t>(small), small);
  reads_everywhere("U16", of<std::uint16_t>(small), small);
  reads_everywhere("U32", of<std::uint32_t>(small), small);
  reads_everywhere("U64", of<std::uint64_t>(small), small);
  const auto both = {0, -1, 2, -3, 100, -128, 127, 5, -6, 7, 8};
  reads_everywhere("I8", of<std::int8_t>(both), both);
  reads_everywhere("I16", of<std::int16_t>(both), both);
  reads_everywhere("I32", of<std::int32_t>(both), both);
  reads_everywhere("I64", of<std::int64_t>(both), both);
  reads_everywhere("F16", of<half>(both), both);
  reads_everywhere("BF16", of<bfloat16>(both), both);
  reads_everywhere("F32", of<float>(both), both);
  reads_everywhere("F64", of<double>(both), both);
  reads_everywhere<std::uint8_t>("BOOL", {0, 1, 255, 0, 2}, {0, 1, 1, 0, 1});
}

TEST_CASE("all 65536 half and bfloat16 patterns read exactly", "[weights][safetensors]") {
  std::vector<std::uint16_t> bits(65536);
  for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<std::uint16_t>(i);
  const auto halves = read<float>("F16", bits), brains = read<float>("BF16", bits);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < bits.size(); ++i) {
    // From the definition of binary16: sign, 5 bits of exponent with bias 15, 10 bits of fraction.
    const int exponent = static_cast<int>(i >> 10 & 31), fraction = static_cast<int>(i & 1023);
    const double magnitude =
        exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
    const double expected = i & 0x8000 ? -magnitude : magnitude;
    if (exponent == 31)
      wrong += fraction ? !std::isnan(halves[i]) : !std::isinf(halves[i]);
    else
      wrong += static_cast<double>(halves[i]) != expected;
    wrong += std::bit_cast<std::uint32_t>(brains[i]) != static_cast<std::uint32_t>(i) << 16;
  }
  CHECK(wrong == 0);
  // Unchanged where nothing is to be converted, NaN included.
  const auto same = odd_file("F16", bits).read<half>("w");
  CHECK(std::memcmp(same.data(), bits.data(), 2 * bits.size()) == 0);
}

TEST_CASE("values that an integer type cannot hold are refused", "[weights][safetensors]") {
  const auto too_large = [](auto file) {
    test::expect_error<WeightError>([&] { file.template read<std::int32_t>("w"); },
                                    {"[safetensors] odd: tensor \"w\"", "do not fit into 32-bit integers"});
  };
  too_large(odd_file<std::int64_t>("I64", {1, 2147483648}));
  too_large(odd_file<std::int64_t>("I64", {-2147483649}));
  too_large(odd_file<std::uint32_t>("U32", {4294967295u}));
  too_large(odd_file<float>("F32", {2147483648.0f}));
  too_large(odd_file<float>("F32", {-2147483904.0f}));
  too_large(odd_file<double>("F64", {std::numeric_limits<double>::quiet_NaN()}));
  too_large(odd_file<double>("F64", {2147483648.0}));
  too_large(odd_file<half>("F16", {half(std::numeric_limits<float>::infinity())}));
  CHECK(read<std::int32_t, double>("F64", {2147483647.5, -2147483648.5, -0.75, 1.75}) ==
        std::vector<std::int32_t>{2147483647, -2147483647 - 1, 0, 1});
  CHECK(read<std::int32_t, float>("F32", {-2147483648.0f}) == std::vector<std::int32_t>{-2147483647 - 1});
  test::expect_error<WeightError>([] { read<std::int64_t, std::uint64_t>("U64", {~0ull}); }, {"64-bit"});
  test::expect_error<WeightError>([] { read<std::int64_t, float>("F32", {9223372036854775808.0f}); },
                                  {"64-bit"});
}

TEST_CASE("all numbers of 8 bits are converted", "[weights][safetensors]") {
  // Sign, exponent and mantissa as the OCP specification defines them, in double.
  const auto value = [](int code, int mantissa_bits, int bias) {
    const int mantissa = code & ((1 << mantissa_bits) - 1), exponent = (code & 127) >> mantissa_bits;
    const double size = exponent == 0
                            ? std::ldexp(mantissa, 1 - bias - mantissa_bits)
                            : std::ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
    return static_cast<float>(code < 128 ? size : -size);
  };
  std::vector<std::uint8_t> codes(256);
  for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<std::uint8_t>(i);
  const auto bits = [](float number) { return std::bit_cast<std::uint32_t>(number); };
  for (const bool e4m3 : {true, false}) {
    const auto file = odd_file<std::uint8_t>(e4m3 ? "F8_E4M3" : "F8_E5M2", codes);
    const auto floats = file.read<float>("w");
    const auto doubles = file.read<double>("w");
    const auto halves = file.read<half>("w");
    const auto bfloats = file.read<bfloat16>("w");
    Tensor<float> read_as_weight(floats.shape());
    ops::Weight(file.weight(*file.find("w"))).read(0, 256, read_as_weight.data());
    for (int code = 0; code < 256; ++code) {
      INFO((e4m3 ? "E4M3 " : "E5M2 ") << code);
      const float found = floats.data()[code];
      const int magnitude = code & 127;
      if (e4m3 ? magnitude == 127 : magnitude > 124) {
        CHECK(std::isnan(found));
        CHECK(std::isnan(read_as_weight.data()[code]));
        CHECK(std::isnan(static_cast<float>(halves.data()[code])));
        continue;
      }
      const float expected = !e4m3 && magnitude == 124 ? std::copysign(std::numeric_limits<float>::infinity(),
                                                                       code < 128 ? 1.0f : -1.0f)
                             : e4m3                    ? value(code, 3, 7)
                                                       : value(code, 2, 15);
      CHECK(bits(found) == bits(expected));
      CHECK(bits(read_as_weight.data()[code]) == bits(expected));
      CHECK(doubles.data()[code] == expected);
      CHECK(bits(static_cast<float>(halves.data()[code])) == bits(expected));
      CHECK(bits(static_cast<float>(bfloats.data()[code])) == bits(expected));
    }
  }
}

TEST_CASE("tensors that are missing", "[weights][safetensors]") {
  const auto file = odd_file<std::uint8_t>("U8", {1, 2});
  CHECK(file.bytes(*file.find("w")).size() == 2);
  CHECK(file.find("v") == nullptr);
  CHECK_FALSE(file.contains("v"));
  test::expect_error<WeightError>([&] { file.read<float>("v"); }, {"tensor \"v\" is missing"});
}

TEST_CASE("scalars and empty tensors", "[weights][safetensors]") {
  SafetensorsWriter writer;
  writer.add("scalar", Tensor<float>::full({}, 7.0f));
  writer.add("empty", Tensor<half>(Shape{3, 0, 2}));
  const auto file = SafetensorsFile::from_memory(
      std::make_shared<const std::vector<std::byte>>(writer.to_bytes()), "memory");
  CHECK(file.read<float>("scalar").rank() == 0);
  CHECK(file.read<float>("scalar").data()[0] == 7.0f);
  CHECK(file.read<float>("empty").shape() == Shape{3, 0, 2});
}

TEST_CASE("the writer's bytes are those of the reference", "[weights][safetensors]") {
  SafetensorsWriter writer;
  writer.add("b", Tensor<half>::full({3}, half(1.0f)));
  writer.add("a", Tensor<float>::full({1, 2}, 1.0f));
  writer.add("A\"\n", Tensor<float>::full({}, 1.0f));
  writer.add("long", Tensor<std::int64_t>::full({1}, 5));
  writer.set_metadata("format", "pt");
  std::string header =
      R"({"__metadata__":{"format":"pt"},"long":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},)"
      R"("A\"\n":{"dtype":"F32","shape":[],"data_offsets":[8,12]},)"
      R"("a":{"dtype":"F32","shape":[1,2],"data_offsets":[12,20]},)"
      R"("b":{"dtype":"F16","shape":[3],"data_offsets":[20,26]}})";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  using namespace std::string_literals;
  const std::string one = "\0\0\x80\x3f"s;
  CHECK(writer.to_bytes() == *test::as_buffer(test::safetensors_text(
                                 header, "\5\0\0\0\0\0\0\0"s + one + one + one + "\0\x3c\0\x3c\0\x3c"s)));
}

TEST_CASE("what the writer refuses", "[weights][safetensors]") {
  SafetensorsWriter writer;
  writer.add("a", arange({2}));
  test::expect_error<ArgumentError>([&] { writer.add("a", arange({2})); }, {"\"a\"", "added before"});
  test::expect_error<ArgumentError>([&] { writer.add("__metadata__", arange({2})); }, {"reserved"});
  test::expect_error<ArgumentError>([&] { writer.add("\xFF", arange({2})); }, {"UTF-8"});
  test::expect_error<ArgumentError>([&] { writer.set_metadata("a", "\xC3"); }, {"UTF-8"});
}

TEST_CASE("saving replaces the file at once and leaves nothing beside it", "[weights][safetensors]") {
  const test::TempFolder folder;
  SafetensorsWriter writer;
  writer.add("a", arange({2, 3}));
  const auto path = folder.write("x.safetensors", "what was here before");
  writer.save(path);
  CHECK(folder.names() == std::vector<std::string>{"x.safetensors"});
  CHECK(SafetensorsFile::open(path).read<float>("a").shape() == Shape{2, 3});

  SECTION("a mapped file stays readable while another takes its name") {
    const auto old = SafetensorsFile::open(path);
    SafetensorsWriter second;
    second.add("b", arange({5}));
    second.save(path);
    CHECK(old.read<float>("a").data()[5] == 2.5f);
    CHECK(SafetensorsFile::open(path).contains("b"));
  }
  SECTION("failures are FileErrors and leave nothing") {
    test::expect_error<FileError>([&] { writer.save(folder / "none/x.safetensors"); },
                                  {"none/x.safetensors"});
    folder.write("taken/inside", "");
    test::expect_error<FileError>([&] { writer.save(folder / "taken"); }, {"taken", "cannot be written"});
    CHECK(folder.names() == std::vector<std::string>{"taken", "x.safetensors"});
  }
}

TEST_CASE("random files come back as they were written", "[weights][safetensors]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const auto draw = [&](int from, int to) { return std::uniform_int_distribution<int>(from, to)(random); };
  const test::TempFolder folder;
  for (int round = 0; round < 40; ++round) {
    SafetensorsWriter writer;
    std::vector<std::pair<std::string, Tensor<std::int64_t>>> integers;
    std::vector<std::pair<std::string, Tensor<float>>> floats;
    const auto shape = [&] {
      std::vector<Index> extents(static_cast<std::size_t>(draw(0, 5)));
      for (auto& extent : extents) extent = draw(0, 4);
      return Shape(extents);
    };
    const auto name = [&](int i) {
      std::string text = std::to_string(i) + ".";
      for (int n = draw(0, 12); n > 0; --n) text += static_cast<char>(draw(1, 126));
      return text;
    };
    for (int i = draw(0, 12); i > 0; --i) {
      Tensor<std::int64_t> a(shape());
      for (auto& value : a.span()) value = static_cast<std::int64_t>(random()) << 32 | random();
      Tensor<float> b(shape());
      for (auto& value : b.span()) value = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
      integers.emplace_back(name(2 * i), a), floats.emplace_back(name(2 * i + 1), b);
      writer.add(integers.back().first, a), writer.add(floats.back().first, b);
    }
    writer.set_metadata(name(0), name(1));
    const auto path = folder / "random.safetensors";
    writer.save(path);
    CHECK(writer.to_bytes() == *test::as_buffer(test::read_file(path)));
    const auto file = SafetensorsFile::open(path);
    CHECK(file.metadata().size() == 1);
    REQUIRE(file.tensors().size() == integers.size() + floats.size());
    const auto same = [](const auto& read, const auto& written) {
      return read.shape() == written.shape() &&
             (written.empty() ||  // bits, so that NaN equals itself
              std::memcmp(read.data(), written.data(), written.span().size_bytes()) == 0);
    };
    for (const auto& [key, tensor] : integers) CHECK(same(file.read<std::int64_t>(key), tensor));
    for (const auto& [key, tensor] : floats) CHECK(same(file.read<float>(key), tensor));
  }
}

TEST_CASE("damaged files are refused or read, never worse", "[weights][safetensors]") {
  SafetensorsWriter writer;
  writer.add("conv_in.weight", arange({2, 3}));
  writer.add("ids", Tensor<std::int64_t>::full({3}, 9));
  writer.set_metadata("format", "pt");
  const auto good = writer.to_bytes();
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  int refused = 0;
  for (int round = 0; round < 5000; ++round) {
    auto bytes = good;
    for (auto hits = 1 + random() % 3; hits > 0; --hits)
      bytes[random() % bytes.size()] = static_cast<std::byte>(random() % 256);
    if (random() % 4 == 0) bytes.resize(random() % bytes.size());
    try {
      const auto file =
          SafetensorsFile::from_memory(std::make_shared<const std::vector<std::byte>>(bytes), "damaged");
      for (const auto& info : file.tensors()) CHECK(file.bytes(info).size() == info.end - info.begin);
    } catch (const FormatError&) {
      ++refused;
    }
  }
  CHECK(refused > 1000);
}

TEST_CASE("all recorded files are read", "[weights][safetensors][golden]") {
  int files = 0;
  const auto folder = std::filesystem::path(DAGUERRE_TEST_DATA) / "golden";
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".safetensors") continue;
    INFO(entry.path());
    ++files;
    const auto file = SafetensorsFile::open(entry.path());
    std::size_t covered = 0;
    for (const auto& info : file.tensors()) {
      covered += file.bytes(info).size();
      CHECK(file.find(info.name) == &info);
      const auto values = file.read<double>(info.name);
      CHECK(std::none_of(values.span().begin(), values.span().end(), [](double v) { return std::isnan(v); }));
    }
    CHECK(covered < std::filesystem::file_size(entry.path()));
  }
  CHECK(files > 100);
}

TEST_CASE("files of the reference's writer come out byte for byte", "[weights][safetensors][golden]") {
  int files = 0;
  for (const std::string area : {"blocks", "unet", "dit", "vae"}) {
    const auto folder = std::filesystem::path(DAGUERRE_TEST_DATA) / "golden" / area;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      if (entry.path().extension() != ".safetensors") continue;
      INFO(entry.path());
      ++files;
      const auto file = SafetensorsFile::open(entry.path());
      SafetensorsWriter writer;
      for (const auto& info : file.tensors()) {
        switch (info.dtype) {
          case DType::f32:
            writer.add(info.name, file.read<float>(info.name));
            break;
          case DType::f16:
            writer.add(info.name, file.read<half>(info.name));
            break;
          case DType::bf16:
            writer.add(info.name, file.read<bfloat16>(info.name));
            break;
          case DType::i64:  // class labels
            writer.add(info.name, file.read<std::int64_t>(info.name));
            break;
          default:
            FAIL("no case for " << weights::name(info.dtype));
        }
      }
      for (const auto& [key, value] : file.metadata()) writer.set_metadata(key, value);
      CHECK(writer.to_bytes() == *test::as_buffer(test::read_file(entry.path())));
    }
  }
  CHECK(files > 50);
}
