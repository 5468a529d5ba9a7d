// Every check of the header, each with a file that only this check refuses.
#include <map>
#include <string>
#include <string_view>

#include "daguerre/core/error.hpp"
#include "daguerre/weights/safetensors.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"

using namespace daguerre;
using daguerre::test::safetensors_text;
using weights::SafetensorsFile;
using weights::SafetensorsOptions;

namespace {

SafetensorsFile parse(std::string_view file, const SafetensorsOptions& options = {}) {
  return SafetensorsFile::from_memory(test::as_buffer(file), "bad.safetensors", options);
}

void refused(std::string_view file, std::initializer_list<std::string_view> parts) {
  test::expect_error<FormatError>([&] { parse(file); }, {"[safetensors] bad.safetensors: "});
  test::expect_error<FormatError>([&] { parse(file); }, parts);
}

void refused_header(std::string_view header, std::initializer_list<std::string_view> parts) {
  refused(safetensors_text(header, "dataDATA"), parts);
}

// A header with one tensor "w".
std::string entry(std::string_view fields) {
  return R"({"w":{)" + std::string(fields) + "}}";
}

const std::string good = entry(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])");

}  // namespace

TEST_CASE("the header's length is checked", "[weights][safetensors]") {
  CHECK(parse(safetensors_text(good, "dataDATA")).tensors().size() == 1);
  refused("", {"has 0 bytes", "at least 8"});
  refused("1234567", {"has 7 bytes", "at least 8"});
  refused(safetensors_text(100'000'001, good, ""), {"claims 100000001 bytes", "the limit is 100000000"});
  // These would fail to allocate, were the claim believed.
  refused(safetensors_text(1ull << 62, good, ""), {"the limit is 100000000"});
  refused(safetensors_text(~0ull, good, ""), {"claims 18446744073709551615 bytes"});
  refused(safetensors_text(100'000'000, good, ""),
          {"claims 100000000 bytes", "but only " + std::to_string(good.size()) + " follow"});
  refused(safetensors_text(good.size() + 1, good, ""), {"but only"});
}

TEST_CASE("long headers are read", "[weights][safetensors]") {
  const std::string w = R"("w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  SECTION("a text of 12 MB, as trainers write the tags of a data set") {
    const std::string tags(12'000'000, 'x');
    const test::TempFolder folder;
    const auto file =
        safetensors_text(R"({"__metadata__":{"ss_tag_frequency":")" + tags + "\"}," + w + "}", "dataDATA");
    const auto from_file = SafetensorsFile::open(folder.write("lora.safetensors", file));
    CHECK(from_file.metadata().at("ss_tag_frequency") == tags);
    CHECK(from_file.contains("w"));
    CHECK(from_file.bytes(*from_file.find("w"))[0] == std::byte{'d'});
    CHECK(parse(file).metadata().at("ss_tag_frequency") == tags);
  }
  SECTION("150,000 tensors") {
    std::string header = "{" + w;
    for (int i = 0; i < 150'000; ++i)
      header += ",\"lora_unet_down_blocks_0_attentions_" + std::to_string(i) +
                R"(":{"dtype":"F32","shape":[0,3],"data_offsets":[8,8]})";
    REQUIRE(header.size() > 10'000'000);
    const auto file = parse(safetensors_text(header + "}", "dataDATA"));
    CHECK(file.tensors().size() == 150'001);
    CHECK(file.find("lora_unet_down_blocks_0_attentions_149999")->shape == Shape{0, 3});
  }
  SECTION("names and texts with escapes") {
    const auto file = parse(safetensors_text(
        R"({"__metadata__":{"a\u0062":"\"\u00e9\""},"\u0077\n":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
        "dataDATA"));
    CHECK(file.metadata().at("ab") == "\"\u00e9\"");
    CHECK(file.contains("w\n"));
  }
}

TEST_CASE("other kinds of file are named", "[weights][safetensors]") {
  refused(std::string("PK\x03\x04\x14\x00\x00\x00\x08\x08", 10),
          {"zip archive", "weights_only=True", "save_file"});
  refused("\x80\x02\x8a\x0alF\xf9 j", {"Python pickle", "weights_only=True"});
  refused("version https://git-lfs.github.com/spec/v1\noid sha256:00", {"Git LFS pointer", "git lfs pull"});
  refused("<!DOCTYPE html><html>", {"HTML"});
  refused("  <html><body>404", {"HTML"});
  refused("GGUF\x03and so on", {"GGUF"});
  refused(R"({"weight_map": {}})", {"JSON text"});

  // A header of 640 bytes begins like a pickle of protocol 2 and is none.
  std::string padded = good;
  padded.resize(640, ' ');
  const auto file = safetensors_text(padded, "dataDATA");
  REQUIRE(file.starts_with("\x80\x02"));
  CHECK(parse(file).contains("w"));
}

TEST_CASE("the header is UTF-8 and JSON", "[weights][safetensors]") {
  for (const std::string_view bytes :
       {"\xFF", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xC3"})
    refused_header(R"({"__metadata__":{"a":")" + std::string(bytes) + "\"}}", {"byte 22", "not valid UTF-8"});
  CHECK(parse(safetensors_text(R"({"__metadata__":{"a":"é€😀"}})")).metadata().at("a") == "é€😀");

  refused_header("", {"byte 0", "not valid JSON"});
  refused_header("{", {"not valid JSON"});
  refused_header(good + "x", {"not valid JSON"});
  refused_header(good + good, {"not valid JSON"});
  refused_header(good + std::string("\0{}", 3), {"NUL byte"});
  refused_header("\xEF\xBB\xBF" + good, {"must be a JSON object", "byte order mark"});
  refused_header("[]", {"must be a JSON object", "a list"});
  refused_header("3", {"must be a JSON object", "a number"});
  refused_header("null", {"must be a JSON object", "null"});
  refused_header(R"({"w":NaN})", {"not valid JSON"});
  refused_header(R"({"w":1e999})", {"not valid JSON"});

  SECTION("blanks around it are allowed") {
    CHECK(parse(safetensors_text("\t\n\r  " + good + "    ", "dataDATA")).contains("w"));
  }
}

TEST_CASE("every entry has a dtype, a shape and two offsets", "[weights][safetensors]") {
  refused_header(R"({"w":[]})", {"tensor \"w\" must be an object", "a list"});
  refused_header(R"({"w":null})", {"tensor \"w\" must be an object", "null"});
  refused_header(R"({"w":{}})", {"tensor \"w\" lacks dtype"});
  refused_header(entry(R"("dtype":"F32","data_offsets":[0,8])"), {"tensor \"w\" lacks shape"});
  refused_header(entry(R"("dtype":"F32","shape":[2])"), {"tensor \"w\" lacks data_offsets"});

  for (const std::string dtype : {"F33", "f32", "F4", "F6_E2M3", "F8_E8M0", "C64", ""})
    refused_header(entry("\"dtype\":\"" + dtype + R"(","shape":[2],"data_offsets":[0,8])"),
                   {"tensor \"w\"", "unknown dtype \"" + dtype + "\""});
  refused_header(entry(R"("dtype":32,"shape":[2],"data_offsets":[0,8])"),
                 {"dtype must be a string", "a number"});
  refused_header(entry(R"("dtype":{},"shape":[2],"data_offsets":[0,8])"),
                 {"dtype must be a string", "an object"});

  const auto shape = [](std::string_view value) {
    return entry(R"("dtype":"F32","data_offsets":[0,8],"shape":)" + std::string(value));
  };
  refused_header(shape("2"), {"shape must be a list"});
  refused_header(shape("{}"), {"shape must be a list", "an object"});
  refused_header(shape("[2.0]"), {"shape must hold non-negative integers", "fraction"});
  refused_header(shape("[1e0]"), {"shape must hold non-negative integers", "fraction"});
  refused_header(shape("[-2]"), {"shape must hold non-negative integers", "negative"});
  refused_header(shape("[-0]"), {"shape must hold non-negative integers", "negative"});
  refused_header(shape("[18446744073709551616]"), {"shape must hold non-negative integers", "too large"});
  refused_header(shape("[\"2\"]"), {"shape must hold non-negative integers", "a string"});
  refused_header(shape("[true]"), {"shape must hold non-negative integers", "a boolean"});
  refused_header(shape("[[2]]"), {"shape must hold non-negative integers", "a list"});
  refused_header(shape("[1,1,1,1,1,1,1,1,2]"), {"tensor \"w\" has more than 8 axes"});
  CHECK(parse(safetensors_text(shape("[1,1,1,1,1,1,1,2]"), "dataDATA")).find("w")->shape.rank() == 8);

  const auto offsets = [](std::string_view value) {
    return entry(R"("dtype":"F32","shape":[2],"data_offsets":)" + std::string(value));
  };
  refused_header(offsets("[]"), {"has 0 data_offsets, expected two"});
  refused_header(offsets("[0]"), {"has 1 data_offsets, expected two"});
  refused_header(offsets("[0,8,8]"), {"has more than two data_offsets"});
  refused_header(offsets("8"), {"data_offsets must be a list"});
  refused_header(offsets("[0,8.0]"), {"data_offsets must be non-negative integers", "fraction"});
  refused_header(offsets("[-8,0]"), {"data_offsets must be non-negative integers", "negative"});
  refused_header(offsets("[0,null]"), {"data_offsets must be non-negative integers", "null"});

  SECTION("fields the format does not define are skipped, whatever they hold") {
    const auto file = parse(safetensors_text(
        entry(
            R"("a":{"dtype":[1,{"shape":null}],"b":"c"},"dtype":"F32","b":[[],{}],"shape":[2],"c":-1.5,"data_offsets":[0,8],"d":null)"),
        "dataDATA"));
    REQUIRE(file.tensors().size() == 1);
    CHECK(file.find("w")->dtype == weights::DType::f32);
    CHECK(file.find("w")->shape == Shape{2});
  }
}

TEST_CASE("metadata maps strings to strings", "[weights][safetensors]") {
  const auto file = parse(safetensors_text(R"({"__metadata__":{"format":"pt","":"x"}})"));
  CHECK(file.metadata() == std::map<std::string, std::string>{{"format", "pt"}, {"", "x"}});
  CHECK(file.tensors().empty());
  CHECK(parse(safetensors_text(R"({"__metadata__":null})")).metadata().empty());
  CHECK(parse(safetensors_text("{}")).metadata().empty());
  refused_header(R"({"__metadata__":[]})", {"__metadata__ must be an object", "a list"});
  refused_header(R"({"__metadata__":"x"})", {"__metadata__ must be an object", "a string"});
  refused_header(R"({"__metadata__":{"a":1}})", {"__metadata__ entry \"a\" must be a string", "a number"});
  refused_header(R"({"__metadata__":{"a":null}})", {"__metadata__ entry \"a\" must be a string", "null"});
  refused_header(R"({"__metadata__":{"a":{}}})", {"must be a string", "an object"});
}

TEST_CASE("duplicate keys are refused at every level", "[weights][safetensors]") {
  const std::string w = R"("w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  refused_header("{" + w + "," + w + "}", {"duplicate key \"w\""});
  // The same name, written with an escape.
  refused_header("{" + w + R"(,"\u0077":{"dtype":"F32","shape":[0],"data_offsets":[8,8]}})",
                 {"duplicate key \"w\""});
  refused_header(entry(R"("dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8])"),
                 {"duplicate key \"dtype\""});
  refused_header(entry(R"("x":{"y":1,"y":1},"dtype":"F32","shape":[2],"data_offsets":[0,8])"),
                 {"duplicate key \"y\""});
  refused_header(R"({"__metadata__":{"a":"1","a":"1"}})", {"duplicate key \"a\""});
  refused_header(R"({"__metadata__":{},"__metadata__":{}})", {"duplicate key \"__metadata__\""});
}

TEST_CASE("nesting is bounded", "[weights][safetensors]") {
  const std::string bomb(1'000'000, '[');
  refused_header(bomb, {"must be a JSON object"});
  refused_header(R"({"w":{"x":)" + bomb, {"nested deeper than 64 levels"});
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  refused_header(R"({"w":{"x":)" + objects, {"nested deeper than 64 levels"});

  const auto nested = [](std::size_t depth) {
    return entry("\"x\":" + std::string(depth, '[') + std::string(depth, ']') +
                 R"(,"dtype":"F32","shape":[2],"data_offsets":[0,8])");
  };
  CHECK(parse(safetensors_text(nested(62), "dataDATA")).contains("w"));
  refused_header(nested(63), {"nested deeper than 64 levels"});
}

TEST_CASE("the tensors cover the data without holes or overlaps", "[weights][safetensors]") {
  const auto two = [](std::string_view a, std::string_view b) {
    const auto one = [](std::string_view offsets) {
      return R"({"dtype":"U8","shape":[4],"data_offsets":)" + std::string(offsets) + "}";
    };
    return R"({"a":)" + one(a) + R"(,"b":)" + one(b) + "}";
  };
  CHECK(parse(safetensors_text(two("[4,8]", "[0,4]"), "dataDATA")).tensors()[0].name == "b");
  refused_header(two("[0,4]", "[5,9]"), {"tensor \"b\"", "[5, 9]", "expected to begin at 4"});
  refused_header(two("[0,4]", "[3,7]"), {"tensor \"b\"", "[3, 7]", "expected to begin at 4"});
  refused_header(two("[0,4]", "[0,4]"), {"tensor \"b\"", "[0, 4]", "expected to begin at 4"});
  refused_header(two("[1,5]", "[5,9]"), {"tensor \"a\"", "expected to begin at 0"});
  refused_header(two("[0,4]", "[4,3]"), {"tensor \"b\"", "[4, 3]"});
  refused_header(entry(R"("dtype":"U8","shape":[4],"data_offsets":[18446744073709551615,3])"),
                 {"tensor \"w\"", "expected to begin at 0"});
}

TEST_CASE("sizes agree and do not overflow", "[weights][safetensors]") {
  const auto sized = [](std::string_view dtype, std::string_view shape, std::string_view end) {
    return entry("\"dtype\":\"" + std::string(dtype) + "\",\"shape\":" + std::string(shape) +
                 ",\"data_offsets\":[0," + std::string(end) + "]");
  };
  refused_header(sized("F32", "[3]", "8"), {"tensor \"w\"", "[0, 8]", "shape [3] of F32 takes 12 bytes"});
  refused_header(sized("F32", "[]", "8"), {"shape [] of F32 takes 4 bytes"});
  refused_header(sized("F32", "[0]", "8"), {"shape [0] of F32 takes 0 bytes"});
  // 2^32 * 2^32 * 4 wraps to 0 and 2^61 * 8 wraps to 0 as well.
  refused_header(sized("F32", "[4294967296,4294967296]", "0"), {"tensor \"w\"", "size overflows"});
  refused_header(sized("F64", "[2305843009213693952]", "0"), {"tensor \"w\"", "size overflows"});
  refused_header(sized("U8", "[18446744073709551615,2]", "8"), {"tensor \"w\"", "size overflows"});
  // Nothing is allocated for what is not there.
  refused_header(sized("U8", "[1099511627776]", "1099511627776"),
                 {"take 1099511627776 bytes", "only 8 follow"});
  refused_header(sized("U8", "[9223372036854775807]", "9223372036854775807"), {"only 8 follow"});
  refused(safetensors_text(good, "dataDAT"), {"take 8 bytes", "only 7 follow", "cut short"});
}

TEST_CASE("bytes behind the last tensor need the lenient option", "[weights][safetensors]") {
  const auto polyglot = safetensors_text(good,
                                         "dataDATA"
                                         "tail");
  refused(polyglot, {"4 bytes follow the last tensor", "allow_trailing_bytes"});
  refused(safetensors_text("{}", "x"), {"1 bytes follow"});
  const auto file = parse(polyglot, {.allow_trailing_bytes = true});
  CHECK(file.bytes(*file.find("w")).size() == 8);
  // Lenient about nothing else.
  test::expect_error<FormatError>(
      [&] { parse(safetensors_text(good, "dataDAT"), {.allow_trailing_bytes = true}); }, {"cut short"});
}

TEST_CASE("names from a hostile file cannot flood a message", "[weights][safetensors]") {
  const std::string header = R"({"\u001b[2J)" + std::string(1'000'000, 'x') + R"(":1})";
  try {
    parse(safetensors_text(header));
    FAIL("nothing was thrown");
  } catch (const FormatError& error) {
    const std::string text = error.what();
    CHECK(text.size() < 400);
    CHECK(text.find('\x1b') == std::string::npos);
    CHECK(text.find("\\x1b") != std::string::npos);
  }
}

TEST_CASE("files that cannot be opened", "[weights][safetensors]") {
  const test::TempFolder folder;
  test::expect_error<FileError>([&] { SafetensorsFile::open(folder / "none.safetensors"); },
                                {"[safetensors]", "none.safetensors"});
  test::expect_error<FileError>([&] { SafetensorsFile::open(folder.path()); }, {"not a regular file"});
  test::expect_error<FormatError>([&] { SafetensorsFile::open(folder.write("empty.safetensors", "")); },
                                  {"empty.safetensors", "0 bytes"});
  test::expect_error<ArgumentError>([] { SafetensorsFile::from_memory(nullptr, "x"); }, {"no buffer"});
}
