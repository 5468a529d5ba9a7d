#include <limits>

#include "support/files.hpp"
#include "support/gguf_bytes.hpp"
#include "support/golden.hpp"
#include "support/hostile.hpp"

namespace daguerre::test {
namespace {

constexpr std::uint32_t u32 = 4, i32 = 5, string = 8, array = 9, u64 = 10;
constexpr std::uint32_t f32 = 0, q8_0 = 8;
constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();

class Corpus {
 public:
  std::vector<HostileFile> files;

  void add(std::string name, std::string content) {
    files.push_back({std::move(name), {}, std::move(content)});
  }
  /// One tensor of a file, `data` behind it.
  void tensor(const std::string& name, const std::vector<std::uint64_t>& extents, std::uint32_t type,
              std::uint64_t offset, std::string_view data = "12345678") {
    add("tensor: " + name, GgufText(1, 0).tensor("w", extents, type, offset).with(data));
  }
  /// One metadata value.
  void value(const std::string& name, std::uint32_t type, std::string_view bytes) {
    add("value: " + name, GgufText(0, 1).value("k", type, bytes).with(""));
  }
};

void add_starts(Corpus& corpus) {
  const auto good = GgufText(0, 0).with("");
  for (const auto* magic : {"GGU", "gguf", "GGML", "FUGG", "GGUE"})
    corpus.add(std::string("magic ") + magic, magic + good.substr(4));
  for (const std::uint32_t version : {0u, 1u, 4u, 0x03000000u, 0x02000000u, 0xFFFFFFFFu})
    corpus.add("version " + std::to_string(version), GgufText(0, 0, version).with(""));
  for (const std::uint64_t count :
       {std::uint64_t{1}, std::uint64_t{1} << 20, std::uint64_t{1} << 31, std::uint64_t{1} << 32,
        std::uint64_t{1} << 62, std::uint64_t{1} << 63, most}) {
    corpus.add(std::to_string(count) + " tensors", GgufText(count, 0).with("12345678"));
    corpus.add(std::to_string(count) + " values", GgufText(0, count).with("12345678"));
  }
}

void add_values(Corpus& corpus) {
  for (const std::uint64_t length :
       {std::uint64_t{100}, std::uint64_t{1} << 40, std::uint64_t{1} << 63, most - 7, most})
    corpus.value("a string of " + std::to_string(length), string, bytes_of_number(length) + "text");
  for (const std::uint32_t type : {13u, 14u, 255u, 0x80000000u, 0xFFFFFFFFu})
    corpus.value("type " + std::to_string(type), type, std::string(64, '\0'));
  const auto items = [](std::uint32_t type, std::uint64_t count, std::string_view bytes = {}) {
    return bytes_of_number(type) + bytes_of_number(count) + std::string(bytes);
  };
  for (const std::uint32_t type : {u32, u64, string, array, 7u})
    for (const std::uint64_t count :
         {std::uint64_t{100}, std::uint64_t{1} << 33, std::uint64_t{1} << 61, most})
      corpus.value("an array of " + std::to_string(count) + " of type " + std::to_string(type), array,
                   items(type, count));
  corpus.value("an array of an unknown type", array, items(13, 0));
  corpus.value("arrays in arrays", array, repeated(items(array, 1), 100'000) + items(u32, 0));
  corpus.value("many empty arrays and some that are cut", array,
               items(array, 100'010, repeated(items(u32, 0), 100'000)));
  const auto two = GgufText(0, 2).value("k", u32, "1234").value("k", u32, "1234");
  corpus.add("a key twice", two.with(""));
  corpus.add("a key with a NUL", GgufText(0, 1).value(std::string_view("a\0b", 3), u32, "1234").with(""));
  corpus.add("a key that is no UTF-8", GgufText(0, 1).value("\xFF", u32, "1234").with(""));
  corpus.add("a key of a mebibyte", GgufText(0, 1).value(std::string(1 << 20, 'k'), u32, "1234").with(""));
  const auto alignment = [&](const std::string& name, std::uint32_t type, std::string_view bytes) {
    corpus.add("alignment " + name, GgufText(0, 1).value("general.alignment", type, bytes).with(""));
  };
  for (const std::uint32_t number : {0u, 3u, 24u, 33u, 0xFFFFFFFFu, 0x80000001u})
    alignment(std::to_string(number), u32, bytes_of_number(number));
  alignment("of 32 in 64 bits", u64, bytes_of_number(std::uint64_t{32}));
  alignment("with a sign", i32, bytes_of_number(std::int32_t{32}));
  alignment("in words", string, bytes_of_number(std::uint64_t{2}) + "32");
  alignment("as an array", array, items(u32, 1, bytes_of_number(32u)));
  alignment("of two gibibytes and a tensor that is not there", u32, bytes_of_number(0x80000000u));
  corpus.add("a far alignment", GgufText(1, 1)
                                    .value("general.alignment", u32, bytes_of_number(0x80000000u))
                                    .tensor("w", {2}, f32, 0)
                                    .with("12345678"));
}

void add_tensors(Corpus& corpus) {
  for (const std::uint32_t type :
       {4u, 5u, 9u, 15u, 31u, 32u, 33u, 36u, 37u, 38u, 39u, 40u, 41u, 1000u, 0xFFFFFFFFu})
    corpus.tensor("type " + std::to_string(type), {2}, type, 0);
  corpus.tensor("five axes", {1, 1, 1, 1, 2}, f32, 0);
  for (const std::uint32_t axes : {100u, 0x7FFFFFFFu, 0xFFFFFFFFu})
    corpus.add("tensor: " + std::to_string(axes) + " axes",
               GgufText(1, 0).string("w").number(axes).number(std::uint64_t{1}).with("12345678"));
  for (const auto& extents :
       std::vector<std::vector<std::uint64_t>>{{most},
                                               {std::uint64_t{1} << 63},
                                               {std::uint64_t{1} << 62, 4},
                                               {std::uint64_t{1} << 61},
                                               {std::uint64_t{1} << 32, std::uint64_t{1} << 32},
                                               {65536, 65536, 65536, 65536},
                                               {3037000500, 3037000500},
                                               {0, most},
                                               {std::uint64_t{1} << 62, 2, 0}})
    corpus.tensor("a size beyond all numbers, " + std::to_string(extents.front()), extents, f32, 0);
  corpus.tensor("rows of 31 in blocks", {31, 2}, q8_0, 0, std::string(128, 'x'));
  corpus.tensor("rows of one in blocks", {1, 32}, q8_0, 0, std::string(128, 'x'));
  corpus.tensor("rows of 255 in large blocks", {255}, 12, 0, std::string(256, 'x'));
  corpus.tensor("an offset in the middle", {2}, f32, 8, std::string(32, 'x'));
  for (const std::uint64_t offset :
       {std::uint64_t{32}, std::uint64_t{1} << 32, std::uint64_t{1} << 63, most - 31, most})
    corpus.tensor("offset " + std::to_string(offset), {2}, f32, offset, std::string(64, 'x'));
  corpus.tensor("data that are not there", {1000}, f32, 0);
  corpus.tensor("a byte too few", {2}, f32, 0, "1234567");
  corpus.tensor("bytes behind the last", {2}, f32, 0, std::string(33, 'x'));
  corpus.tensor("no whole block there", {32}, q8_0, 0, std::string(33, 'x'));
  const auto two = [&](const std::string& name, std::string_view second, std::uint64_t offset) {
    corpus.add(
        "tensors: " + name,
        GgufText(2, 0).tensor("w", {2}, f32, 0).tensor(second, {2}, f32, offset).with(std::string(64, 'x')));
  };
  two("a name twice", "w", 32);
  two("one place for two", "v", 0);
  two("one inside the other", "v", 4);
  two("no padding", "v", 8);
  two("a hole", "v", 64);
  two("a name with a NUL", std::string_view("w\0x", 3), 32);
  two("a name that is no UTF-8", "w\xC3", 32);
  two("a name of a mebibyte", std::string(1 << 20, 'n'), 32);
  const auto shape = [&](const std::string& name, std::uint32_t type, std::string_view bytes) {
    corpus.add("orig_shape: " + name, GgufText(1, 1)
                                          .value("comfy.gguf.orig_shape.w", type, bytes)
                                          .tensor("w", {2}, f32, 0)
                                          .with("12345678"));
  };
  const auto ints = [](std::initializer_list<std::int32_t> numbers) {
    std::string text = bytes_of_number(i32) + bytes_of_number(std::uint64_t{numbers.size()});
    for (const auto number : numbers) text += bytes_of_number(number);
    return text;
  };
  shape("of other elements", array, ints({3}));
  shape("below zero", array, ints({-1, -2}));
  shape("of nothing", array, ints({}));
  shape("of nine axes", array, ints({1, 1, 1, 1, 1, 1, 1, 1, 2}));
  shape("that overflows", array, ints({2147483647, 2147483647, 2147483647, 2147483647}));
  shape("that is a number", i32, bytes_of_number(std::int32_t{2}));
  shape(
      "of strings", array,
      bytes_of_number(string) + bytes_of_number(std::uint64_t{1}) + bytes_of_number(std::uint64_t{1}) + "2");
}

/// Valid files, cut where one part ends and the next begins, and everywhere in between.
void add_cuts(Corpus& corpus) {
  for (const auto* name : {"all_metadata_types", "quantised_rows"}) {
    const auto whole = read_file(golden("gguf/container") / (std::string(name) + ".gguf"));
    for (std::size_t size = 0; size < whole.size() - 32; size += size < 64 ? 1 : 7)
      corpus.add(std::string(name) + " cut to " + std::to_string(size), whole.substr(0, size));
  }
}

}  // namespace

std::vector<HostileFile> hostile_gguf() {
  Corpus corpus;
  add_starts(corpus);
  add_values(corpus);
  add_tensors(corpus);
  add_cuts(corpus);
  return std::move(corpus.files);
}

}  // namespace daguerre::test
