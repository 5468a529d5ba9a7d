#include "weights/safetensors_header.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <limits>
#include <optional>
#include <span>
#include <tuple>
#include <utility>

#include "config/strict_sax.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "weights/names.hpp"

namespace daguerre::weights {
namespace {

constexpr std::size_t prefix_bytes = 8;  // the header's length, little-endian

// What the header says of a tensor, before its sizes are checked. There may be a million of them, so names
// stay where they are and all extents share one list.
struct RawEntry {
  JsonString name;
  std::uint64_t begin = 0, end = 0;
  std::uint32_t first_extent = 0;
  std::uint8_t rank = 0;
  DType dtype = DType::f32;

  std::string quoted_name() const { return in_quotes(name.decoded()); }
};

std::optional<DType> dtype_named(std::string_view text) {
  for (int i = 0; i <= static_cast<int>(DType::u64); ++i)
    if (name(static_cast<DType>(i)) == text) return static_cast<DType>(i);
  return std::nullopt;
}

// Reads the header's JSON straight into entries; nothing of it is copied before all of it was read.
class HeaderReader final : public StrictSax {
 public:
  HeaderReader(const std::string& source, const std::function<void(std::size_t)>& progress)
      : StrictSax(safetensors_name, source), progress_(progress) {}

  // Deques: growing, they need no room for the old and the new at once.
  std::deque<RawEntry> entries;
  std::deque<std::uint64_t> extents;
  std::vector<std::pair<JsonString, JsonString>> metadata;

 protected:
  void on_progress(std::size_t taken) override {
    if (progress_) progress_(taken);
  }
  void on_null() override {
    // The reference reads a null as "no metadata".
    if (place_ == Place::metadata)
      place_ = Place::root;
    else
      scalar("null");
  }
  void on_boolean(bool) override { scalar("a boolean"); }
  void on_integer(std::int64_t) override { scalar("a negative number"); }
  void on_fraction(double, std::string_view) override { scalar("a fraction or too large a number"); }
  void on_unsigned(std::uint64_t value) override {
    if (place_ == Place::shape_item) {
      auto& entry = entries.back();
      if (entry.rank == Shape::max_rank)
        fail(subject() + " has more than " + std::to_string(Shape::max_rank) + " axes");
      ++entry.rank;
      extents.push_back(value);
    } else if (place_ == Place::offsets_item) {
      if (offsets_ == 2) fail(subject() + " has more than two data_offsets");
      (offsets_++ == 0 ? entries.back().begin : entries.back().end) = value;
    } else {
      scalar("a number");
    }
  }
  void on_string(const JsonString& value) override {
    if (place_ == Place::metadata_item) {
      metadata.emplace_back(metadata_name_, value);
    } else if (place_ == Place::dtype) {
      const auto dtype = dtype_named(value.raw);
      if (!dtype) fail(subject() + " has the unknown dtype " + in_quotes(value.raw));
      entries.back().dtype = *dtype;
      place_ = Place::entry_item;
    } else {
      scalar("a string");
    }
  }
  void on_start_object() override {
    switch (place_) {
      case Place::start:
        place_ = Place::root;
        return;
      case Place::metadata:
        place_ = Place::metadata_item;
        return;
      case Place::entry:
        place_ = Place::entry_item;
        return;
      case Place::skipped:
        ++skipped_depth_;
        return;
      default:
        reject("an object");
    }
  }
  void on_start_array() override {
    switch (place_) {
      case Place::shape:
        place_ = Place::shape_item;
        return;
      case Place::offsets:
        place_ = Place::offsets_item;
        return;
      case Place::skipped:
        ++skipped_depth_;
        return;
      default:
        reject("a list");
    }
  }
  void on_key(const JsonString& name) override {
    if (name.escaped) decoded_ = name.decoded();
    const std::string_view key = name.escaped ? decoded_ : name.raw;
    switch (place_) {
      case Place::root:
        if (key == metadata_key) {
          place_ = Place::metadata;
        } else {
          // Within a header's greatest length there are fewer extents than 32 bits count.
          entries.push_back({.name = name, .first_extent = static_cast<std::uint32_t>(extents.size())});
          offsets_ = 0;
          has_dtype_ = has_shape_ = has_offsets_ = false;
          place_ = Place::entry;
        }
        return;
      case Place::metadata_item:
        metadata_name_ = name;
        return;
      case Place::entry_item:
        if (key == "dtype")
          place_ = Place::dtype, has_dtype_ = true;
        else if (key == "shape")
          place_ = Place::shape, has_shape_ = true;
        else if (key == "data_offsets")
          place_ = Place::offsets, has_offsets_ = true;
        else
          place_ = Place::skipped;
        return;
      default:
        return;  // inside a skipped value
    }
  }
  void on_end() override {
    switch (place_) {
      case Place::metadata_item:
        place_ = Place::root;
        return;
      case Place::shape_item:
        place_ = Place::entry_item;
        return;
      case Place::offsets_item:
        if (offsets_ != 2)
          fail(subject() + " has " + std::to_string(offsets_) + " data_offsets, expected two");
        place_ = Place::entry_item;
        return;
      case Place::entry_item:
        if (!has_dtype_ || !has_shape_ || !has_offsets_)
          fail(subject() + " lacks " + (!has_dtype_ ? "dtype" : !has_shape_ ? "shape" : "data_offsets"));
        place_ = Place::root;
        return;
      case Place::skipped:
        if (--skipped_depth_ == 0) place_ = Place::entry_item;
        return;
      default:
        return;  // the end of the root
    }
  }

 private:
  // What the next value or key belongs to.
  enum class Place {
    start,
    root,
    metadata,
    metadata_item,
    entry,
    entry_item,
    dtype,
    shape,
    shape_item,
    offsets,
    offsets_item,
    skipped  // a field the format does not define
  };

  std::string subject() const { return "tensor " + entries.back().quoted_name(); }

  void scalar(std::string_view kind) {
    if (place_ != Place::skipped) reject(kind);
    if (skipped_depth_ == 0) place_ = Place::entry_item;
  }
  [[noreturn]] void reject(std::string_view kind) const {
    const std::string found = ", found " + std::string(kind);
    switch (place_) {
      case Place::start:
        fail("the header must be a JSON object" + found);
      case Place::metadata:
        fail("__metadata__ must be an object" + found);
      case Place::metadata_item:
        fail("__metadata__ entry " + in_quotes(metadata_name_.raw) + " must be a string" + found);
      case Place::entry:
        fail(subject() + " must be an object" + found);
      case Place::dtype:
        fail(subject() + ": dtype must be a string" + found);
      case Place::shape:
        fail(subject() + ": shape must be a list" + found);
      case Place::shape_item:
        fail(subject() + ": shape must hold non-negative integers" + found);
      case Place::offsets:
        fail(subject() + ": data_offsets must be a list" + found);
      case Place::offsets_item:
        fail(subject() + ": data_offsets must be non-negative integers" + found);
      default:
        fail("unexpected value" + found);
    }
  }

  const std::function<void(std::size_t)>& progress_;
  Place place_ = Place::start;
  std::size_t skipped_depth_ = 0;
  std::size_t offsets_ = 0;  // of the entry that is read
  JsonString metadata_name_;
  std::string decoded_;
  bool has_dtype_ = false, has_shape_ = false, has_offsets_ = false;
};

// Says what a file is that has no plausible header length. Not asked before that: the first bytes of a
// pickle are also those of a header of 640 bytes.
std::string what_else(std::string_view file) {
  if (file.starts_with("PK\x03\x04"))
    return "; it is a zip archive, probably a PyTorch pickle checkpoint, which is not read because a pickle "
           "can run code" +
           std::string(pickle_conversion_hint);
  if (file.size() >= 2 && file[0] == '\x80' && file[1] >= 2 && file[1] <= 5)
    return "; it is a Python pickle, which is not read because it can run code" +
           std::string(pickle_conversion_hint);
  if (file.starts_with("version https://git-lfs") || file.starts_with("version https://hawser"))
    return "; it is a Git LFS pointer, not the file itself: fetch it with `git lfs pull`";
  if (file.starts_with("GGUF")) return "; it is a GGUF file, which GgufFile reads";
  const auto text = file.substr(std::min(file.find_first_not_of(" \t\r\n"), file.size()));
  if (text.starts_with("<!") || text.starts_with("<html") || text.starts_with("<HTML") ||
      text.starts_with("<?xml"))
    return "; it is an HTML or XML page, probably what a server sent in place of the download";
  if (text.starts_with("{")) return "; it begins like a JSON text";
  return {};
}

// Throws in the name of one tensor.
[[noreturn]] void fail(const std::string& file, const RawEntry& entry, const std::string& problem) {
  throw FormatError(safetensors_name, file + ": tensor " + entry.quoted_name() + " " + problem);
}

std::string offsets_of(const RawEntry& entry) {
  return "[" + std::to_string(entry.begin) + ", " + std::to_string(entry.end) + "]";
}

// Shape and byte count, without overflow at any step.
std::pair<Shape, std::uint64_t> checked_size(const std::string& file, const RawEntry& entry,
                                             const std::deque<std::uint64_t>& extents) {
  std::array<Index, Shape::max_rank> shape{};
  try {
    for (std::size_t i = 0; i < entry.rank; ++i) {
      const auto extent = extents[entry.first_extent + i];
      if (extent > static_cast<std::uint64_t>(std::numeric_limits<Index>::max()))
        throw ArgumentError(safetensors_name, "extent too large");
      shape[i] = static_cast<Index>(extent);
    }
    const auto result = Shape(std::span<const Index>(shape).first(entry.rank));
    return {result, static_cast<std::uint64_t>(
                        checked_multiply(result.size(), static_cast<Index>(size_of(entry.dtype))))};
  } catch (const ArgumentError&) {
    std::string text;
    for (std::size_t i = 0; i < entry.rank; ++i)
      text += (i > 0 ? ", " : "") + std::to_string(extents[entry.first_extent + i]);
    fail(file, entry, "has shape [" + text + "], whose size overflows");
  }
}

}  // namespace

SafetensorsHeader read_header(std::span<const std::byte> file, const std::string& name,
                              const SafetensorsOptions& options,
                              const std::function<void(std::size_t)>& progress) {
  const std::string_view all(reinterpret_cast<const char*>(file.data()), file.size());
  const auto not_safetensors = [&](const std::string& problem) {
    return FormatError(safetensors_name, name + ": " + problem + what_else(all));
  };
  if (all.size() < prefix_bytes)
    throw not_safetensors("the file has " + std::to_string(all.size()) + " bytes, a header needs at least 8");
  std::uint64_t length = 0;
  for (std::size_t i = prefix_bytes; i-- > 0;) length = length << 8 | static_cast<unsigned char>(all[i]);
  if (length > max_header_bytes)
    throw not_safetensors("the header claims " + std::to_string(length) + " bytes, the limit is " +
                          std::to_string(max_header_bytes));
  if (length > all.size() - prefix_bytes)
    throw not_safetensors("the header claims " + std::to_string(length) + " bytes, but only " +
                          std::to_string(all.size() - prefix_bytes) + " follow");

  const auto json = all.substr(prefix_bytes, static_cast<std::size_t>(length));
  const auto from_file_start = [&](std::size_t taken) { progress(prefix_bytes + taken); };
  const std::function<void(std::size_t)> on_progress =
      progress ? std::function<void(std::size_t)>(from_file_start) : nullptr;
  HeaderReader reader(name, on_progress);
  // A byte order mark, which nlohmann's lexer would skip, is no part of the format.
  if (json.starts_with("\xEF\xBB\xBF"))
    throw FormatError(safetensors_name, name + ": the header must be a JSON object, found a byte order mark");
  reader.parse(json);

  auto& entries = reader.entries;
  std::sort(entries.begin(), entries.end(), [](const RawEntry& a, const RawEntry& b) {
    return std::tie(a.begin, a.end, a.name.raw) < std::tie(b.begin, b.end, b.name.raw);
  });
  SafetensorsHeader header;
  header.data_begin = prefix_bytes + static_cast<std::size_t>(length);
  header.tensors.reserve(entries.size());
  const std::uint64_t data_bytes = all.size() - header.data_begin;
  std::uint64_t expected_begin = 0;
  for (const auto& entry : entries) {
    const std::uint64_t begin = entry.begin, end = entry.end;
    if (begin != expected_begin || end < begin)
      fail(name, entry,
           "has data_offsets " + offsets_of(entry) + ", expected to begin at " +
               std::to_string(expected_begin) + " (no holes, no overlaps)");
    const auto [shape, bytes] = checked_size(name, entry, reader.extents);
    if (end - begin != bytes)
      fail(name, entry,
           "has data_offsets " + offsets_of(entry) + ", but shape " + to_string(shape) + " of " +
               std::string(weights::name(entry.dtype)) + " takes " + std::to_string(bytes) + " bytes");
    expected_begin = end;
    header.tensors.push_back({entry.name.decoded(), entry.dtype, shape, static_cast<std::size_t>(begin),
                              static_cast<std::size_t>(end)});
  }
  if (expected_begin > data_bytes)
    throw FormatError(safetensors_name, name + ": the tensors take " + std::to_string(expected_begin) +
                                            " bytes, but only " + std::to_string(data_bytes) +
                                            " follow the header; the file is cut short");
  if (expected_begin < data_bytes && !options.allow_trailing_bytes)
    throw FormatError(safetensors_name,
                      name + ": " + std::to_string(data_bytes - expected_begin) +
                          " bytes follow the last tensor (allow_trailing_bytes accepts them)");
  for (const auto& [key, value] : reader.metadata) header.metadata.emplace(key.decoded(), value.decoded());
  return header;
}

}  // namespace daguerre::weights
