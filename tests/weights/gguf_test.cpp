// GGUF files: what is read, what is refused, what is written.
#include "daguerre/weights/gguf.hpp"

#include <bit>
#include <cstring>
#include <filesystem>
#include <random>
#include <string>

#include "daguerre/core/error.hpp"
#include "daguerre/pipeline/model_source.hpp"
#include "daguerre/weights/checkpoint.hpp"
#include "daguerre/weights/convert.hpp"
#include "daguerre/weights/gguf_writer.hpp"
#include "daguerre/weights/inspect.hpp"
#include "daguerre/weights/key_map.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/gguf_bytes.hpp"
#include "support/golden.hpp"
#include "support/hostile.hpp"

using namespace daguerre;
using test::GgufText;
using weights::GgufFile;
using weights::GgufType;
using weights::GgufWriter;
using weights::StateDict;

namespace {

GgufFile parse(std::string_view file, const weights::SafetensorsOptions& options = {}) {
  return GgufFile::from_memory(test::as_buffer(file), "bad.gguf", options);
}

void refused(std::string_view file, std::initializer_list<std::string_view> parts) {
  test::expect_error<FormatError>([&] { parse(file); }, {"[gguf] bad.gguf: "});
  test::expect_error<FormatError>([&] { parse(file); }, parts);
}

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Tensor<float> normal(const Shape& shape, unsigned seed, float size = 1.0f) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> distribution(0.0f, size);
  Tensor<float> result(shape);
  for (auto& value : result.span()) value = distribution(generator);
  return result;
}

bool same(const Tensor<float>& a, const Tensor<float>& b) {
  return a.shape() == b.shape() &&
         std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * sizeof(float)) == 0;
}

}  // namespace

TEST_CASE("a GGUF file says what is wrong with it", "[weights][gguf]") {
  const auto good = GgufText(1, 0).tensor("w", {2}, 0, 0);
  CHECK(parse(good.with("12345678")).tensors().size() == 1);
  refused("GGU", {"magic word", "cut short"});
  refused("SAFE1234", {"begins with \"SAFE\"", "expected \"GGUF\""});
  refused(GgufText(0, 0, 1).with(""), {"version 1", "2 and 3"});
  refused(GgufText(0, 0, 0x03000000).with(""), {"big endian"});
  refused(GgufText(std::uint64_t{1} << 62, 0).with(""), {"claims 4611686018427387904 tensors"});
  refused(GgufText(0, std::uint64_t{1} << 40).with(""), {"claims 1099511627776 metadata values"});
  refused(good.with("1234567"), {"take 8 bytes", "only 7", "cut short"});
  refused(good.with(std::string(40, 'x')), {"8 bytes follow the last tensor", "allow_trailing_bytes"});
  CHECK(parse(good.with(std::string(40, 'x')), {.allow_trailing_bytes = true}).tensors().size() == 1);
  refused(GgufText(1, 0).tensor("w", {2}, 39, 0).with("12345678"),
          {"tensor \"w\"", "type 39 (MXFP4)", "not read"});
  refused(GgufText(1, 0).tensor("w", {2}, 77, 0).with("12345678"), {"tensor \"w\"", "unknown type 77"});
  refused(GgufText(1, 0).tensor("w", {31, 2}, 8, 0).with(""), {"rows of 31", "blocks of 32", "Q8_0"});
  refused(GgufText(1, 0).tensor("w", {2}, 0, 32).with(""), {"offset 32, expected 0"});
  refused(GgufText(1, 0).tensor("w", {1, 1, 1, 1, 1}, 0, 0).with(""), {"5 axes, the most are 4"});
  refused(GgufText(1, 0).tensor("w", {4, std::uint64_t{1} << 62}, 0, 0).with(""),
          {"[4611686018427387904, 4]", "overflows"});
  refused(GgufText(0, 1).value("general.alignment", 4, test::bytes_of_number(48u)).with(""),
          {"general.alignment", "48", "power of two"});
  test::expect_error<ArgumentError>([] { GgufFile::from_memory(nullptr, "x"); }, {"no buffer"});
  test::expect_error<FileError>([] { GgufFile::open("/nowhere/x.gguf"); }, {"[gguf] /nowhere/x.gguf"});
}

TEST_CASE("a valid GGUF file cut anywhere is refused", "[weights][gguf]") {
  for (const auto* name : {"all_metadata_types", "alignment_64", "quantised_rows", "long_names"}) {
    const auto whole = test::read_file(test::golden("gguf/container") / (std::string(name) + ".gguf"));
    const auto file = parse(whole);
    const std::size_t end = file.data_begin() + file.tensors().back().end;
    for (std::size_t size = 0; size < end; ++size) {
      INFO(name << " cut to " << size);
      CHECK_THROWS_AS(parse(std::string_view(whole).substr(0, size)), FormatError);
    }
    CHECK_NOTHROW(parse(std::string_view(whole).substr(0, end)));
  }
}

TEST_CASE("a GGUF file cut at the end of a section is refused in one line", "[weights][gguf]") {
  auto text = GgufText(1, 1).value("general.name", 8, test::bytes_of_number(std::uint64_t{4}) + "name");
  const std::size_t value_end = text.text().size();
  text.tensor("w", {2}, 0, 0);
  const std::size_t info_end = text.text().size();
  const auto whole = text.with("12345678");
  CHECK(parse(whole).tensors().size() == 1);
  // Magic, version, both counts, the key's length and letters, the value's type and length; the value, the
  // tensor's description, the padding, half of the data.
  const std::size_t key = 24 + 8 + 12;
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{4}, std::size_t{8}, std::size_t{16}, std::size_t{24}, std::size_t{32},
        key, key + 4, key + 12, value_end, info_end, whole.size() - 8, whole.size() - 4}) {
    INFO("cut to " << size << " of " << whole.size());
    std::string message;
    try {
      parse(std::string_view(whole).substr(0, size));
    } catch (const FormatError& error) {
      message = error.what();
    }
    const bool says_so =
        message.find("cut short") != message.npos || message.find(" bytes follow") != message.npos;
    CHECK(says_so);
    CHECK(message.find('\n') == message.npos);
  }
}

TEST_CASE("metadata of every type are read", "[weights][gguf]") {
  const auto file = GgufFile::open(test::golden("gguf/container/all_metadata_types.gguf"));
  const auto json = [&](const char* key) { return file.values().find(key)->second.to_json(); };
  CHECK(json("test.u64") == "18446744073709551615");
  CHECK(json("test.i64") == "-9223372036854775808");
  CHECK(json("test.bool") == "true");
  CHECK(json("test.array_nested") == "[[1, 2], [3, 4]]");
  CHECK(json("test.array_str") == "[\"a\", \"bc\", \"d\u00e9f\"]");
  CHECK(file.metadata().at("test.string") == "h\u00e9llo \u65e5\u672c");
  CHECK(file.metadata().at("test.i8") == "-128");
  const auto& strings = file.values().find("test.array_str")->second;
  CHECK(strings.type() == GgufType::array);
  CHECK(strings.item_type() == GgufType::string);
  CHECK(strings.to_json(2) == "[3 STRING]");
  CHECK(strings.items()[1].text() == "bc");
  CHECK_FALSE(strings.integer());
  CHECK(file.values().find("test.u64")->second.integer() == std::nullopt);
  CHECK(file.values().find("test.u64")->second.natural() == ~std::uint64_t{0});
}

TEST_CASE("rows of blocks may begin anywhere", "[weights][gguf]") {
  // A tensor of ComfyUI-GGUF: rows of 36 in blocks of 256.
  const auto values = normal({9, 256}, 7);
  const auto blocks = weights::quantised(DType::q4_k, values);
  const std::string shape = test::bytes_of_number(5u) + test::bytes_of_number(std::uint64_t{4}) +
                            test::bytes_of_number(64) + test::bytes_of_number(4) + test::bytes_of_number(3) +
                            test::bytes_of_number(3);
  const auto content = GgufText(1, 1)
                           .value("comfy.gguf.orig_shape.w", 9, shape)
                           .tensor("w", {256, 9}, 12, 0)
                           .with(text_of(blocks));
  const test::TempFolder folder;
  const auto weights = StateDict::load(folder.write("any.name", content));
  CHECK(weights.metadata().empty());
  const Shape whole{64, 4, 3, 3};
  const auto floats = weights.tensor("w", whole);
  const auto error = test::difference(floats.reshape({9, 256}), values);
  CHECK(error.rel_l2 < 0.1);
  CHECK(error.rel_l2 > 1e-3);
  const ops::Weight stored(weights.weight("w", whole));
  for (const Index begin : {0, 1, 7, 8, 40, 63})
    for (const Index count : {1, 2, 13}) {
      const Index end = std::min<Index>(64, begin + count);
      std::vector<float> rows(static_cast<std::size_t>((end - begin) * 36));
      stored.read(begin, end, rows.data());
      CHECK(std::memcmp(rows.data(), floats.data() + begin * 36, rows.size() * sizeof(float)) == 0);
    }
  // Rows of another name, which begin inside a block, and those of these.
  const auto part = weights.renamed({{"v", "w", 5, 20}}).renamed({{"u", "v", 3, 11}});
  const auto cut = part.tensor("u", {11, 4, 3, 3});
  CHECK(std::memcmp(cut.data(), floats.data() + 8 * 36, 11 * 36 * sizeof(float)) == 0);
  // The other way round.
  const auto flat = weights.renamed({{"t", "w", 0, -1, Shape{64, 36}, true}});
  const auto turned = flat.tensor("t", {36, 64});
  std::vector<float> row(64);
  ops::Weight(flat.weight("t", {36, 64})).read(5, 6, row.data());
  for (Index i = 0; i < 64; ++i) {
    CHECK(turned.data()[5 * 64 + i] == floats.data()[i * 36 + 5]);
    CHECK(row[static_cast<std::size_t>(i)] == floats.data()[i * 36 + 5]);
  }
}

TEST_CASE("K blocks are rounded byte for byte as ggml rounds them", "[gguf]") {
  Tensor<float> values({8, 256});
  for (std::uint32_t i = 0; i < 2048; ++i) {
    const auto number = static_cast<float>((i * 2654435761u) >> 8) / 16777216.0f;
    values.data()[i] = (number - 0.375f) * static_cast<float>(i / 256 % 7 + 1);
  }
  // FNV-1a of what quantize_row_q4_K_ref and its kin of llama.cpp write for these.
  for (const auto& [type, expected] : {std::pair{DType::q4_k, 0xfe50b988d8bb881eull},
                                       {DType::q5_k, 0xc41d75c11524ed54ull},
                                       {DType::q6_k, 0xd695f8c9cb29baf1ull}}) {
    std::uint64_t hash = 0xcbf29ce484222325ull;
    for (const auto byte : weights::quantised(type, values))
      hash = (hash ^ std::to_integer<std::uint64_t>(byte)) * 0x100000001b3ull;
    INFO(name(type));
    CHECK(hash == expected);
  }
}

TEST_CASE("what is written is read", "[weights][gguf]") {
  for (const std::size_t alignment : {std::size_t{1}, std::size_t{32}, std::size_t{256}}) {
    GgufWriter writer(alignment);
    const auto matrix = normal({3, 512}, 1);
    writer.set("general.architecture", std::string("sd1"));
    writer.set("a", std::uint32_t{7});
    writer.set("b", std::vector<std::int32_t>{1, -2});
    writer.set("c", true);
    writer.set("texts", std::vector<std::string>{"", "\u2581cat", std::string("a\0b", 3)});
    writer.set("floats", std::vector<float>{-1.5f, 2.0f});
    writer.set("flags", std::vector<bool>{true, false});
    writer.set("none", std::vector<std::string>());
    writer.add("scalar", normal({}, 2));
    writer.add("vector", normal({5}, 3), DType::f16);
    for (const auto type : {DType::f32, DType::bf16, DType::q8_0, DType::q4_0, DType::q4_1, DType::q5_0,
                            DType::q5_1, DType::q4_k, DType::q5_k, DType::q6_k, DType::tq1_0, DType::tq2_0})
      writer.add(std::string(name(type)), matrix, type);
    writer.add("picture", normal({2, 3, 4, 5}, 4));
    const auto file = parse(text_of(writer.to_bytes()));
    CHECK(file.version() == 3);
    CHECK(file.alignment() == alignment);
    CHECK(file.metadata().at("general.architecture") == "sd1");
    CHECK(file.metadata().at("b") == "[1, -2]");
    CHECK(file.metadata().at("floats") == "[-1.5, 2.0]");
    CHECK(file.metadata().at("flags") == "[true, false]");
    CHECK(file.values().at("none").items().empty());
    const auto texts = file.values().at("texts").items();
    REQUIRE(texts.size() == 3);
    CHECK(texts[0].text() == "");
    CHECK(texts[1].text() == "\u2581cat");
    CHECK(texts[2].text() == std::string_view("a\0b", 3));
    CHECK(file.tensors().size() == 15);
    CHECK(file.find("picture")->shape == Shape{2, 3, 4, 5});
    CHECK(same(file.floats(*file.find("F32")), matrix));
    const auto error = [&](const char* type) {
      return test::difference(file.floats(*file.find(type)), matrix).rel_l2;
    };
    // Normally distributed numbers: fewer bits, more error, and the search is worth its while.
    CHECK(error("BF16") < 3e-3);
    CHECK(error("Q8_0") < 6e-3);
    CHECK(error("Q6_K") < 2e-2);
    CHECK(error("Q5_K") < error("Q5_1"));
    CHECK(error("Q5_1") < error("Q5_0"));
    CHECK(error("Q4_K") < error("Q4_1"));
    CHECK(error("Q4_1") < error("Q4_0"));
    CHECK(error("Q4_0") < 0.1);
  }
}

TEST_CASE("blocks of extreme numbers stay finite", "[weights][gguf]") {
  constexpr float largest = 65504.0f, least = std::numeric_limits<float>::denorm_min();
  for (const auto type : {DType::q8_0, DType::q4_0, DType::q4_1, DType::q5_0, DType::q5_1, DType::q4_k,
                          DType::q5_k, DType::q6_k, DType::tq1_0, DType::tq2_0})
    for (const float size : {0.0f, least, 1e-40f, 1e-30f, 1e-8f, largest}) {
      INFO(name(type) << " of " << size);
      auto values = normal({1, 256}, 5, 1.0f);
      for (auto& value : values.span()) value = value < 0 ? -size : size;
      GgufWriter writer;
      writer.add("w", values, type);
      const auto file = parse(text_of(writer.to_bytes()));
      const auto read = file.floats(*file.find("w"));
      for (const float value : read.span()) CHECK(std::isfinite(value));
      if (size == largest || size == 0.0f)
        for (Index i = 0; i < 256; ++i) CHECK(std::fabs(read.data()[i] - values.data()[i]) <= 0.15f * size);
    }
  auto values = normal({1, 256}, 6);
  for (const float odd :
       {70000.0f, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    values.data()[3] = odd;
    test::expect_error<ArgumentError>([&] { weights::quantised(DType::q8_0, values); }, {"65504", "Q8_0"});
  }
  test::expect_error<ArgumentError>(
      [] {
        weights::quantised(DType::q8_0, Tensor<float>(Shape{2, 31}));
      },
      {"rows of 31", "Q8_0"});
  test::expect_error<ArgumentError>([] { weights::quantised(DType::iq2_s, Tensor<float>(Shape{256})); },
                                    {"IQ2_S"});
}

TEST_CASE("the writer refuses what GGUF cannot hold", "[weights][gguf]") {
  GgufWriter writer;
  writer.add("a", Tensor<float>(Shape{1}));
  test::expect_error<ArgumentError>([&] { writer.add("a", Tensor<float>(Shape{1})); }, {"\"a\"", "twice"});
  test::expect_error<ArgumentError>(
      [&] {
        writer.add("b", Tensor<float>(Shape{1, 1, 1, 1, 1}));
      },
      {"four axes"});
  test::expect_error<ArgumentError>([&] { writer.add("\xFF", Tensor<float>(Shape{1})); }, {"UTF-8"});
  test::expect_error<ArgumentError>([&] { writer.set("general.alignment", std::uint32_t{8}); },
                                    {"alignment"});
  test::expect_error<ArgumentError>([] { GgufWriter(24); }, {"24", "power of two"});
}

TEST_CASE("GGUF files are recognised by what they begin with", "[weights][gguf]") {
  const test::TempFolder folder;
  const auto model = test::golden("gguf/sd1_checkpoint");
  std::filesystem::copy_file(model / "model.gguf", folder / "x.safetensors");
  CHECK(weights::is_gguf(folder / "x.safetensors"));
  CHECK_FALSE(weights::is_gguf(folder / "none"));
  CHECK_FALSE(weights::is_gguf(folder.path()));
  CHECK(weights::inspect(folder / "x.safetensors").kind == weights::ModelDescription::Kind::gguf_file);
  const auto checkpoint = weights::open_checkpoint(folder / "x.safetensors", {.configs = model});
  CHECK(checkpoint.family == "sd1");
  CHECK(checkpoint.missing.empty());
  CHECK(checkpoint.unknown.empty());
  const auto unet = test::golden("gguf/sd1_unet_comfyui");
  const auto alone = weights::open_checkpoint(unet / "model.gguf", {.configs = unet});
  CHECK(alone.family == "sd1");
  CHECK(alone.missing == std::vector<std::string>{"text_encoder", "vae"});
}

TEST_CASE("GGUF files of other things are told", "[weights][gguf]") {
  const test::TempFolder folder;
  GgufWriter writer;
  writer.set("general.architecture", std::string("llama"));
  writer.add("token_embd.weight", normal({4, 32}, 1), DType::q8_0);
  writer.add("blk.0.attn_norm.weight", normal({32}, 2));
  writer.save(folder / "chat.gguf");
  test::expect_error<ConfigError>([&] { weights::open_checkpoint(folder / "chat.gguf"); },
                                  {"chat.gguf", "language model (\"llama\")", "makes no pictures"});
  test::expect_error<ConfigError>([&] { ModelSource::open(folder / "chat.gguf"); }, {"language model"});
  CHECK(weights::open_checkpoint(test::golden("gguf/t5_encoder/model.gguf")).family == "t5");
}

TEST_CASE("llama.cpp's names of T5 become transformers'", "[weights][gguf]") {
  const auto stored = StateDict::load(test::golden("gguf/t5_encoder/model.gguf"));
  const auto weights = weights::with_diffusers_names(stored);
  for (const auto* name :
       {"shared.weight", "encoder.final_layer_norm.weight", "encoder.block.0.layer.0.layer_norm.weight",
        "encoder.block.0.layer.0.SelfAttention.q.weight", "encoder.block.0.layer.0.SelfAttention.k.weight",
        "encoder.block.0.layer.0.SelfAttention.v.weight", "encoder.block.0.layer.0.SelfAttention.o.weight",
        "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
        "encoder.block.1.layer.1.layer_norm.weight", "encoder.block.1.layer.1.DenseReluDense.wi_0.weight",
        "encoder.block.1.layer.1.DenseReluDense.wi_1.weight",
        "encoder.block.1.layer.1.DenseReluDense.wo.weight"}) {
    INFO(name);
    CHECK(weights.contains(name));
  }
  for (const auto& name : weights.names()) {
    INFO(name);
    CHECK((name == "shared.weight" || name.starts_with("encoder.")));
  }
  CHECK(weights.names().size() == stored.names().size());
}

TEST_CASE("models are converted to GGUF files and back", "[weights][gguf][convert]") {
  const test::TempFolder folder;
  const auto configs = test::golden("gguf/sd1_checkpoint");
  const auto original = weights::open_checkpoint(configs / "model.gguf", {.configs = configs});
  SECTION("as it is: every bit stays") {
    weights::convert_checkpoint(original, folder / "copy.gguf");
    const auto copy = GgufFile::open(folder / "copy.gguf"), file = GgufFile::open(configs / "model.gguf");
    REQUIRE(copy.tensors().size() == file.tensors().size());
    for (const auto& info : file.tensors()) {
      INFO(info.name);
      const auto* found = copy.find(info.name);
      REQUIRE(found != nullptr);
      CHECK(found->dtype == info.dtype);
      CHECK(found->shape == info.shape);
      const auto a = file.bytes(info), b = copy.bytes(*found);
      CHECK(std::equal(a.begin(), a.end(), b.begin(), b.end()));
    }
  }
  SECTION("to safetensors: the numbers stay") {
    weights::convert_checkpoint(original, folder / "plain.safetensors");
    const auto plain = StateDict::load(folder / "plain.safetensors");
    const auto file = StateDict::load(configs / "model.gguf");
    for (const auto& name : file.names()) {
      INFO(name);
      CHECK_FALSE(is_block(plain.find(name)->dtype));
      CHECK(same(plain.tensor(name, plain.shape(name)), file.tensor(name, file.shape(name))));
    }
  }
  SECTION("to blocks: matrices, and not what is sensitive") {
    weights::convert_checkpoint(original, folder / "plain.safetensors", {.type = DType::f32});
    const auto plain = weights::open_checkpoint(folder / "plain.safetensors", {.configs = configs});
    weights::convert_checkpoint(plain, folder / "small.gguf", {.type = DType::q8_0});
    const auto small = GgufFile::open(folder / "small.gguf");
    std::size_t blocks = 0;
    for (const auto& info : small.tensors()) {
      INFO(info.name << " " << name(info.dtype) << " " << to_string(info.shape));
      blocks += is_block(info.dtype);
      if (info.shape.rank() < 2 || info.shape.size() <= 1024) CHECK(info.dtype == DType::f32);
      if (info.shape.rank() == 4 && info.shape.size() > 1024) CHECK(info.dtype == DType::f16);
      if (info.name.find("time_embed") != std::string::npos) CHECK_FALSE(is_block(info.dtype));
    }
    CHECK(blocks > 10);
    const auto checkpoint = weights::open_checkpoint(folder / "small.gguf", {.configs = configs});
    CHECK(checkpoint.is_whole());
    const auto& a = *checkpoint.file;
    const auto& b = *plain.file;
    for (const auto& name : b.names()) {
      const auto found = a.tensor(name, a.shape(name)), wanted = b.tensor(name, b.shape(name));
      INFO(name);
      CHECK(test::difference(found, wanted).rel_l2 < 1e-2);
    }
    test::expect_error<ArgumentError>(
        [&] { weights::convert_checkpoint(plain, folder / "x.safetensors", {.type = DType::q8_0}); },
        {"Q8_0", "GGUF"});
    test::expect_error<ArgumentError>(
        [&] { weights::convert_checkpoint(plain, folder / "x.gguf", {.type = DType::iq2_s}); }, {"IQ2_S"});
    CHECK_FALSE(std::filesystem::exists(folder / "x.gguf"));
  }
}
