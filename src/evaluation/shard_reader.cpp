#include "daguerre/evaluation/shard_reader.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "evaluation/tar_format.hpp"

namespace daguerre::evaluation {
namespace {

constexpr const char* shard_name = "shard";
constexpr std::uint64_t most_extended = 1 << 20;  // bytes of an extended header
constexpr std::uint64_t most_name = 4096;

using Path = std::filesystem::path;

/// What extended headers say of the member behind them.
struct Extended {
  std::optional<std::string> name;
  std::optional<std::uint64_t> size;
};

/// Reads one file's headers, each of them once.
class TarScanner {
 public:
  explicit TarScanner(const Path& path) : path_(path) {
    std::error_code error;
    size_ = std::filesystem::file_size(path, error);
    if (!error) file_.open(path, std::ios::binary);
    if (error || !file_)
      throw FileError(shard_name,
                      path.string() + ": cannot be read" + (error ? ": " + error.message() : std::string()),
                      path);
  }

  std::vector<ShardEntry> entries() {
    std::vector<ShardEntry> result;
    Extended extended;
    while (next_header()) {
      const char type = static_cast<char>(header_[tar_type.at]);
      std::uint64_t size = number(tar_size);
      if (is_extension(type)) {
        read_extension(type, size, extended);
        continue;
      }
      if (type == 'S') throw error("holds a sparse file, which is not read");
      if (extended.size) size = *extended.size;
      const std::uint64_t data = at_;
      const bool is_file = type == '0' || type == '\0' || type == '7';
      if (type < '1' || type > '6') skip(size);  // links, devices and folders have no bytes
      auto name = extended.name ? std::move(*extended.name) : own_name();
      extended = {};
      while (name.starts_with("./")) name.erase(0, 2);
      if (!is_file || name.empty() || name.back() == '/') continue;  // old writers' folders
      if (result.size() == max_shard_entries)
        throw error("holds more than " + std::to_string(max_shard_entries) + " files");
      result.push_back({std::move(name), data, size});
    }
    return result;
  }

 private:
  FormatError error(const std::string& what) const {
    return FormatError(shard_name, path_.string() + ": at byte " + std::to_string(header_at_) + ": " + what,
                       path_);
  }

  void read(std::uint64_t at, char* to, std::uint64_t count) {
    file_.clear();
    file_.seekg(static_cast<std::streamoff>(at));
    if (!file_.read(to, static_cast<std::streamsize>(count)))
      throw FileError(shard_name, path_.string() + ": cannot be read", path_);
  }

  /// Goes on to the next header; false at the end.
  bool next_header() {
    header_at_ = at_;
    if (size_ - at_ < tar_block)
      throw error(size_ == 0 ? "is empty, no tar file"
                             : "it ends without the zeros that end a tar file: it was cut short");
    read(at_, reinterpret_cast<char*>(header_.data()), tar_block);
    at_ += tar_block;
    if (std::all_of(header_.begin(), header_.end(), [](unsigned char byte) { return byte == 0; })) {
      if (header_at_ == 0 && size_ > 20 * tar_block) throw error("it begins with zeros, no tar file");
      return false;
    }
    check_header();
    return true;
  }

  void check_header() {
    const auto sum = parse_octal(tar_checksum);
    if (sum && (static_cast<std::int64_t>(*sum) == tar_sum(header_) ||
                static_cast<std::int64_t>(*sum) == tar_sum(header_, true)))
      return;
    if (header_at_ != 0) throw error("expected a header, found one with a wrong checksum");
    const auto begins = [&](std::initializer_list<unsigned char> magic) {
      return std::equal(magic.begin(), magic.end(), header_.begin());
    };
    const char* packed = begins({0x1F, 0x8B})               ? "gzip"
                         : begins({0x28, 0xB5, 0x2F, 0xFD}) ? "zstd"
                         : begins({'B', 'Z', 'h'})          ? "bzip2"
                         : begins({0xFD, '7', 'z', 'X'})    ? "xz"
                                                            : nullptr;
    if (packed != nullptr)
      throw error(std::string("it is compressed (") + packed + "); unpack it to a plain tar file");
    throw error("it is no tar file");
  }

  std::string_view field(TarField place) const {
    const std::string_view whole(reinterpret_cast<const char*>(header_.data()) + place.at, place.size);
    return whole.substr(0, whole.find('\0'));
  }

  std::optional<std::uint64_t> parse_octal(TarField place) const {
    auto text = field(place);
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    if (text.empty()) return 0;
    std::uint64_t value = 0;
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value, 8);
    if (fault != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
  }

  /// Octal, or, where its first bit is set, in the base of 256 (GNU).
  std::uint64_t number(TarField place) const {
    if ((header_[place.at] & 0x80) == 0) {
      const auto value = parse_octal(place);
      if (!value) throw error("a size is no number");
      return *value;
    }
    std::uint64_t value = header_[place.at] & 0x7F;
    for (std::size_t i = 1; i < place.size; ++i) {
      if (value >> 55 != 0) throw error("a size is negative or beyond all measure");
      value = value << 8 | header_[place.at + i];
    }
    return value;
  }

  std::string own_name() const {
    std::string name(field(tar_name));
    const bool is_posix = field({tar_magic.at, 5}) == "ustar" && header_[tar_magic.at + 5] == 0;
    const auto prefix = is_posix ? field(tar_prefix) : std::string_view();
    return prefix.empty() ? name : std::string(prefix) + "/" + name;
  }

  static bool is_extension(char type) {
    return type == 'x' || type == 'g' || type == 'X' || type == 'L' || type == 'K' || type == 'N' ||
           type == 'V';
  }

  void skip(std::uint64_t size) {
    if (size > size_ - at_)
      throw error("a file of " + std::to_string(size) + " bytes, of which only " +
                  std::to_string(size_ - at_) + " are there: it was cut short");
    at_ += size;
    at_ += std::min(tar_padding(size), size_ - at_);
  }

  void read_extension(char type, std::uint64_t size, Extended& extended) {
    const std::uint64_t data = at_;
    skip(size);
    if (type != 'x' && type != 'X' && type != 'L') return;
    if (size > most_extended)
      throw error("an extended header has " + std::to_string(size) + " bytes, the limit is " +
                  std::to_string(most_extended));
    std::string text(static_cast<std::size_t>(size), '\0');
    if (size > 0) read(data, text.data(), size);
    if (type != 'L') return read_pax(text, extended);
    text.resize(std::min(text.find('\0'), text.size()));
    set_name(text, extended);
  }

  void set_name(std::string_view name, Extended& extended) const {
    if (name.empty() || name.size() > most_name || name.find('\0') != name.npos)
      throw error("a name of " + std::to_string(name.size()) + " bytes, expected 1 to " +
                  std::to_string(most_name) + " and no NUL");
    extended.name = std::string(name);
  }

  void read_pax(std::string_view text, Extended& extended) const {
    while (!text.empty()) {
      std::size_t length = 0;
      const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), length);
      const auto digits = static_cast<std::size_t>(end - text.data());
      if (fault != std::errc() || digits + 2 > length || length > text.size() || text[digits] != ' ' ||
          text[length - 1] != '\n')
        throw error("an extended header is malformed");
      const auto record = text.substr(digits + 1, length - digits - 2);
      text.remove_prefix(length);
      const auto equals = record.find('=');
      if (equals == record.npos) throw error("an extended header is malformed");
      const auto key = record.substr(0, equals), value = record.substr(equals + 1);
      if (key == "path") set_name(value, extended);
      if (key.starts_with("GNU.sparse.")) throw error("holds a sparse file, which is not read");
      if (key != "size") continue;
      std::uint64_t size = 0;
      const auto [last, wrong] = std::from_chars(value.data(), value.data() + value.size(), size);
      if (wrong != std::errc() || last != value.data() + value.size()) throw error("a size is no number");
      extended.size = size;
    }
  }

  const Path& path_;
  std::ifstream file_;
  std::uint64_t size_ = 0, at_ = 0, header_at_ = 0;
  TarHeader header_{};
};

}  // namespace

struct ShardReader::State {
  Path path;
  std::vector<ShardEntry> entries;
  std::unordered_map<std::string_view, std::size_t> by_name;  // into the names of `entries`
};

std::string_view sample_key(std::string_view name) noexcept {
  const auto slash = name.rfind('/');
  const auto dot = name.find('.', slash == name.npos ? 0 : slash + 1);
  return name.substr(0, dot);
}

ShardReader ShardReader::open(const std::filesystem::path& file) {
  auto state = std::make_shared<State>();
  state->path = file;
  state->entries = TarScanner(file).entries();
  for (std::size_t i = 0; i < state->entries.size(); ++i) state->by_name[state->entries[i].name] = i;
  return ShardReader(std::move(state));
}

const std::filesystem::path& ShardReader::path() const noexcept {
  return state_->path;
}

std::span<const ShardEntry> ShardReader::entries() const noexcept {
  return state_->entries;
}

const ShardEntry* ShardReader::beside(const ShardEntry& entry, std::string_view extension) const {
  const auto found = state_->by_name.find(std::string(sample_key(entry.name)) + std::string(extension));
  return found == state_->by_name.end() ? nullptr : &state_->entries[found->second];
}

std::vector<std::byte> ShardReader::read(const ShardEntry& entry, std::uint64_t limit) const {
  const auto who = state_->path.string() + ": " + in_quotes(entry.name);
  if (entry.size > limit)
    throw ArgumentError(shard_name, who + " has " + std::to_string(entry.size) + " bytes, the limit is " +
                                        std::to_string(limit));
  std::vector<std::byte> bytes(static_cast<std::size_t>(entry.size));
  std::ifstream file(state_->path, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(entry.offset));
  if (!file || !file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size())))
    throw FileError(shard_name, who + " cannot be read", state_->path);
  return bytes;
}

std::string ShardReader::read_text(const ShardEntry& entry, std::uint64_t limit) const {
  const auto bytes = read(entry, limit);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace daguerre::evaluation
