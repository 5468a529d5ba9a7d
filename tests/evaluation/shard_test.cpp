// Shards: what is written is read again, by us and as POSIX has it; tar files of others; hostile ones.
#include <fstream>
#include <random>
#include <set>

#include "daguerre/core/error.hpp"
#include "daguerre/evaluation/shard_reader.hpp"
#include "daguerre/evaluation/shard_writer.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"

using namespace daguerre;
using namespace daguerre::evaluation;
using namespace daguerre::test;

namespace {

/// A member as some tar writes it, by hand.
std::string member(std::string name, std::string_view bytes, char type = '0', std::string size = {},
                   std::string_view magic = std::string_view("ustar\0"
                                                             "00",
                                                             8)) {
  std::string header(512, '\0');
  const auto put = [&](std::size_t at, std::string_view text) { header.replace(at, text.size(), text); };
  const auto octal = [](std::size_t value, std::size_t digits) {
    std::string text(digits, '0');
    for (std::size_t i = digits; i-- > 0; value >>= 3) text[i] = static_cast<char>('0' + (value & 7));
    return text;
  };
  put(0, name);
  put(100, "0000644");
  put(124, size.empty() ? octal(bytes.size(), 11) : size);
  put(136, "14000000000");
  header[156] = type;
  put(257, magic);
  put(148, "        ");
  std::size_t sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  put(148, octal(sum, 6) + std::string("\0 ", 2));
  std::string result = header + std::string(bytes);
  result.resize((result.size() + 511) / 512 * 512);
  return result;
}

const std::string end(1024, '\0');

std::string record(const std::string& key, const std::string& value) {
  for (std::size_t length = 1;; ++length) {
    auto text = std::to_string(length) + " " + key + "=" + value + "\n";
    if (text.size() == length) return text;
  }
}

std::vector<std::string> names_of(const ShardReader& shard) {
  std::vector<std::string> names;
  for (const auto& entry : shard.entries()) names.push_back(entry.name);
  return names;
}

}  // namespace

TEST_CASE("a shard holds what was put into it") {
  const TempFolder temp;
  const auto path = temp / "a.tar";
  const std::string deep = std::string(120, 'd') + "/" + std::string(90, 'n') + ".png";
  const std::string longest = std::string(300, 'x') + ".png";
  const std::string bytes(1000, '\xA5');
  std::vector<std::uint64_t> offsets;
  {
    ShardWriter shard(path);
    offsets.push_back(shard.add("000000.png", bytes));
    offsets.push_back(shard.add("000000.txt", "ein Fuchs läuft — 狐"));
    offsets.push_back(shard.add("a/000001.cls", ""));
    offsets.push_back(shard.add(deep, std::string(512, 'y')));
    offsets.push_back(shard.add(longest, "z"));
    shard.finish();
    CHECK_THROWS_AS(shard.add("late", "x"), ArgumentError);
  }
  const auto shard = ShardReader::open(path);
  REQUIRE(names_of(shard) ==
          std::vector<std::string>{"000000.png", "000000.txt", "a/000001.cls", deep, longest});
  const auto file = read_file(path);
  CHECK(file.size() % 512 == 0);
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    const auto& entry = shard.entries()[i];
    CHECK(entry.offset == offsets[i]);
    CHECK(shard.read_text(entry) == file.substr(offsets[i], entry.size));
  }
  CHECK(shard.read_text(shard.entries()[0]) == bytes);
  CHECK(shard.read_text(shard.entries()[1]) == "ein Fuchs läuft — 狐");
  CHECK(shard.read_text(shard.entries()[4]) == "z");
  CHECK(shard.beside(shard.entries()[0], ".txt") == &shard.entries()[1]);
  CHECK(shard.beside(shard.entries()[0], ".json") == nullptr);
  CHECK(shard.beside(shard.entries()[2], ".txt") == nullptr);
  expect_error<ArgumentError>([&] { shard.read(shard.entries()[0], 999); },
                              {"000000.png", "1000 bytes", "999"});

  // The first header, field by field.
  CHECK(file.substr(0, 11) == std::string("000000.png\0", 11));
  CHECK(file.substr(100, 8) == std::string("0000644\0", 8));
  CHECK(file.substr(124, 12) == std::string("00000001750\0", 12));
  CHECK(file.substr(136, 12) == std::string("00000000000\0", 12));
  CHECK(file[156] == '0');
  CHECK(file.substr(257, 8) == std::string("ustar\0"
                                           "00",
                                           8));

  ShardWriter refusing(temp / "b.tar");
  for (const std::string& name : {std::string(), std::string("/etc/passwd"), std::string("a/../../b"),
                                  std::string(".."), std::string("a/"), std::string("a\0b", 3)}) {
    INFO(name);
    CHECK_THROWS_AS(refusing.add(name, "x"), ArgumentError);
  }
  CHECK_THROWS_AS(ShardWriter(path), FileError);  // never over what is there
  CHECK_THROWS_AS(ShardWriter(temp / "no" / "a.tar"), FileError);
}

TEST_CASE("keys of samples end at the first dot of the name") {
  CHECK(sample_key("000123.png") == "000123");
  CHECK(sample_key("a.b/000123.seg.png") == "a.b/000123");
  CHECK(sample_key("a.b/000123") == "a.b/000123");
  CHECK(sample_key(".png") == "");
}

TEST_CASE("tar files of others are read") {
  const TempFolder temp;
  const std::string name(200, 'n');
  const std::string gnu("ustar  \0", 8);
  const auto open = [&](const std::string& bytes) { return ShardReader::open(temp.write("a.tar", bytes)); };
  // Folders, links and devices between them; names with "./".
  auto shard = open(member("./", "", '5') + member("./a.jpg", "1") + member("link", "", '2') +
                    member("device", "", '3') + member("b.jpg", "22", '\0') + member("c/", "") + end);
  CHECK(names_of(shard) == std::vector<std::string>{"a.jpg", "b.jpg"});
  CHECK(shard.read_text(shard.entries()[1]) == "22");
  // Long names: GNU's, and pax's, which also says sizes; what is said for all is nothing to us.
  shard = open(member("././@LongLink", name + std::string("\0", 1), 'L', {}, gnu) +
               member(name.substr(0, 100), "1") +
               member("PaxHeader", record("mtime", "1.5") + record("path", "ü/" + name), 'x') +
               member("short", "22") + member("global", record("comment", "abc"), 'g') +
               member("PaxHeader", record("size", "3"), 'x') + member("d", "333", '0', "00000000000") + end);
  CHECK(names_of(shard) == std::vector<std::string>{name, "ü/" + name, "d"});
  CHECK(shard.read_text(shard.entries()[2]) == "333");
  // A size in the base of 256, no magic at all (version 7), spaces around numbers.
  shard = open(member("a", "1", '0', std::string("\x80\0\0\0\0\0\0\0\0\0\0\1", 12)) +
               member("b", "22", '\0', "         2 \0", std::string_view("\0", 1)) + end);
  CHECK(names_of(shard) == std::vector<std::string>{"a", "b"});
  // Nothing in it, and what lies behind the end.
  CHECK(open(std::string(10240, '\0')).entries().empty());
  CHECK(open(member("a", "1") + end + "anything").entries().size() == 1);
  // Of files of one name the last one counts, as for whoever unpacks it.
  shard = open(member("a.png", "1") + member("a.txt", "old") + member("a.txt", "new") + end);
  CHECK(shard.entries().size() == 3);
  CHECK(shard.read_text(*shard.beside(shard.entries()[0], ".txt")) == "new");
}

TEST_CASE("malformed tar files are refused with one clear line") {
  const TempFolder temp;
  const auto refused = [&](const std::string& bytes, std::initializer_list<std::string_view> parts) {
    const auto path = temp.write("a.tar", bytes);
    expect_error<FormatError>([&] { ShardReader::open(path); }, parts);
    expect_error<FormatError>([&] { ShardReader::open(path); }, {"a.tar"});
  };
  CHECK_THROWS_AS(ShardReader::open(temp / "none.tar"), FileError);
  CHECK_THROWS_AS(ShardReader::open(temp.path()), FileError);
  refused("", {"is empty"});
  refused(std::string(600, 'x'), {"no tar file"});
  refused(std::string("\x1f\x8b") + std::string(600, 'x'), {"compressed (gzip)"});
  refused(std::string("\x28\xb5\x2f\xfd") + std::string(600, 'x'), {"compressed (zstd)"});
  refused(member("a", "1"), {"cut short"});  // no end
  refused(member("a", std::string(5000, 'x')).substr(0, 2048), {"at byte 0", "5000 bytes", "1536 are there"});
  refused(member("a", "1") + std::string(512, 'x') + end, {"at byte 1024", "wrong checksum"});
  refused(member("a", "1", '0', "0000000000x") + end, {"no number"});
  refused(member("a", "1", '0', "77777777777") + end, {"8589934591 bytes"});
  refused(member("a", "1", '0', std::string(12, '\xff')) + end, {"beyond all measure"});
  refused(member("a", "1", 'S') + end, {"sparse"});
  refused(member("p", record("GNU.sparse.major", "1"), 'x') + member("a", "1") + end, {"sparse"});
  refused(member("p", record("size", "18446744073709551615"), 'x') + member("a", "1") + end, {"cut short"});
  refused(member("p", record("size", "-1"), 'x') + member("a", "1") + end, {"no number"});
  refused(member("p", record("path", ""), 'x') + member("a", "1") + end, {"a name of 0 bytes"});
  refused(member("p", record("path", std::string(5000, 'n')), 'x') + member("a", "1") + end,
          {"a name of 5000 bytes"});
  refused(member("p", std::string(2'000'000, ' '), 'x') + member("a", "1") + end,
          {"2000000 bytes, the limit"});
  for (const std::string text : {"9", "9 path=a", "99 path=a\n", "5 a=b\n", "0 \n", "x path=a\n", "7 path\n",
                                 "999999999999999999999 a=b\n"}) {
    INFO(text);
    refused(member("p", text, 'x') + member("a", "1") + end, {"malformed"});
  }
}

TEST_CASE("damaged tar files throw nothing else, and read nothing that is not there") {
  const TempFolder temp;
  const std::string whole = member("a.png", std::string(700, 'p')) +
                            member("PaxHeader", record("path", std::string(150, 'n')), 'x') +
                            member("b", "22") + member("././@LongLink", std::string(130, 'l'), 'L') +
                            member("c", "333") + end;
  std::mt19937 random(7);
  int readable = 0;
  for (int i = 0; i < 600; ++i) {
    auto bytes = whole;
    const bool is_cut = i % 3 == 0;
    if (is_cut) bytes.resize(random() % bytes.size());
    for (int n = 0; !is_cut && n < 1 + i % 4; ++n) {
      const auto at = random() % bytes.size();
      bytes[at] = static_cast<char>(random());
      // With a checksum that is right again, so that what lies behind it is reached.
      const auto header = at / 512 * 512;
      std::size_t sum = 8 * ' ';
      for (std::size_t b = 0; b < 512; ++b)
        if (b < 148 || b >= 156) sum += static_cast<unsigned char>(bytes[header + b]);
      if (at % 512 < 345 && random() % 2 == 0)
        for (std::size_t digit = 6; digit-- > 0; sum >>= 3)
          bytes[header + 148 + digit] = static_cast<char>('0' + (sum & 7));
    }
    const auto path = temp.write("a.tar", bytes);
    try {
      const auto shard = ShardReader::open(path);
      for (const auto& entry : shard.entries()) {
        CHECK(entry.offset + entry.size <= bytes.size());
        CHECK(shard.read_text(entry) == bytes.substr(entry.offset, entry.size));
      }
      ++readable;
    } catch (const FormatError&) {
    }
  }
  CHECK(readable > 50);
  CHECK(readable < 550);
}
