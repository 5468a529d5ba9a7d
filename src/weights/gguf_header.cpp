#include "weights/gguf_header.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <unordered_set>
#include <utility>

#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "daguerre/core/shape.hpp"

static_assert(std::endian::native == std::endian::little, "GGUF files are read as they lie in memory");

namespace daguerre::weights {
namespace {

// The least that an entry takes: a name's length, a type and a byte; a name's length, axes, a type and where
// the data begin.
constexpr std::uint64_t least_value_bytes = 8 + 4 + 1, least_tensor_bytes = 8 + 4 + 4 + 8;
constexpr std::uint64_t longest_name = 65535;
constexpr int deepest_array = 8;

/// A value for a message.
std::string shortened(const GgufValue& value) {
  constexpr std::size_t longest = 120;
  auto text = value.to_json(8);
  return text.size() <= longest ? text : "of type " + std::string(name(value.type()));
}

/// Reads a file from its beginning, and knows where it is when something is missing.
class Cursor {
 public:
  Cursor(std::span<const std::byte> file, const std::string& name) : file_(file), name_(name) {}

  std::size_t position() const noexcept { return at_; }
  std::size_t left() const noexcept { return file_.size() - at_; }

  [[noreturn]] void fail(const std::string& problem) const {
    throw FormatError(gguf_name, name_ + ": " + problem);
  }
  std::span<const std::byte> take(std::uint64_t bytes, const std::string& what) {
    if (bytes > left())
      fail(what + " takes " + std::to_string(bytes) + " bytes at byte " + std::to_string(at_) +
           ", but only " + std::to_string(left()) + " follow; the file is cut short or damaged");
    const auto result = file_.subspan(at_, static_cast<std::size_t>(bytes));
    at_ += result.size();
    return result;
  }
  template <class T>
  T number(const std::string& what) {
    T value;
    std::memcpy(&value, take(sizeof value, what).data(), sizeof value);
    return value;
  }
  std::string_view string(const std::string& what) {
    const auto length = number<std::uint64_t>(what + "'s length");
    const auto bytes = take(length, what);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

 private:
  std::span<const std::byte> file_;
  const std::string& name_;
  std::size_t at_ = 0;
};

std::string_view read_name(Cursor& cursor, const std::string& what) {
  const auto text = cursor.string(what);
  if (text.size() > longest_name)
    cursor.fail(what + " has " + std::to_string(text.size()) + " bytes, the most are " +
                std::to_string(longest_name));
  if (find_invalid_utf8(text) != text.npos) cursor.fail(what + ", " + in_quotes(text) + ", is not UTF-8");
  if (text.find('\0') != text.npos) cursor.fail(what + ", " + in_quotes(text) + ", holds a NUL byte");
  return text;
}

GgufType read_type(Cursor& cursor, const std::string& what) {
  const auto type = cursor.number<std::uint32_t>(what + "'s type");
  if (type > static_cast<std::uint32_t>(GgufType::f64))
    cursor.fail(what + " has the unknown type " + std::to_string(type));
  return static_cast<GgufType>(type);
}

void skip_value(Cursor& cursor, GgufType type, const std::string& what, int depth = 0) {
  if (const auto size = gguf_size(type); size > 0) {
    cursor.take(size, what);
  } else if (type == GgufType::string) {
    cursor.string(what);
  } else {
    if (depth == deepest_array)
      cursor.fail(what + " has more than " + std::to_string(deepest_array) + " arrays inside each other");
    const auto item = read_type(cursor, what);
    const auto count = cursor.number<std::uint64_t>(what + "'s number of items");
    const std::uint64_t least = item == GgufType::string ? 8 : item == GgufType::array ? 12 : gguf_size(item);
    if (count > cursor.left() / least)
      cursor.fail(what + " claims " + std::to_string(count) + " items, but only " +
                  std::to_string(cursor.left()) + " bytes follow");
    if (gguf_size(item) > 0)
      cursor.take(count * least, what);
    else
      for (std::uint64_t i = 0; i < count; ++i) skip_value(cursor, item, what, depth + 1);
  }
}

std::uint32_t read_start(Cursor& cursor) {
  const auto magic = cursor.take(gguf_magic.size(), "the magic word");
  const std::string_view found(reinterpret_cast<const char*>(magic.data()), magic.size());
  if (found != gguf_magic) cursor.fail("begins with " + in_quotes(found) + ", expected \"GGUF\"");
  const auto version = cursor.number<std::uint32_t>("the version");
  if (version != 2 && version != 3) {
    const bool swapped = (version & 0xFFFFu) == 0 && version != 0;
    cursor.fail(swapped ? "is big endian; only little-endian GGUF files are read"
                        : "is of version " + std::to_string(version) + ", versions 2 and 3 are read");
  }
  return version;
}

std::uint64_t read_count(Cursor& cursor, const char* of) {
  return cursor.number<std::uint64_t>(std::string("the number of ") + of);
}
void check_count(const Cursor& cursor, std::uint64_t count, std::uint64_t least, const char* of) {
  if (count > cursor.left() / least)
    cursor.fail("claims " + std::to_string(count) + " " + of + ", but only " + std::to_string(cursor.left()) +
                " bytes follow");
}

void read_values(Cursor& cursor, std::uint64_t count, GgufHeader& header, std::span<const std::byte> file) {
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto key = read_name(cursor, "the key of metadata value " + std::to_string(i));
    const auto what = "metadata value " + in_quotes(key);
    const auto type = read_type(cursor, what);
    const auto begin = cursor.position();
    skip_value(cursor, type, what);
    const GgufValue value(type, file.subspan(begin, cursor.position() - begin));
    if (!header.values.try_emplace(std::string(key), value).second) cursor.fail(what + " is there twice");
  }
  const auto found = header.values.find(alignment_key);
  if (found == header.values.end()) return;
  const auto alignment = found->second.natural();
  if (found->second.type() != GgufType::u32 || !std::has_single_bit(*alignment))
    cursor.fail("metadata value \"general.alignment\" is " + shortened(found->second) + " of type " +
                std::string(name(found->second.type())) + ", expected a power of two of type U32");
  header.alignment = static_cast<std::size_t>(*alignment);
}

/// PyTorch's order, without overflow at any step.
Shape read_shape(Cursor& cursor, const std::string& what) {
  const auto axes = cursor.number<std::uint32_t>(what + "'s number of axes");
  if (axes > most_gguf_axes)
    cursor.fail(what + " has " + std::to_string(axes) + " axes, the most are " +
                std::to_string(most_gguf_axes));
  std::array<Index, most_gguf_axes> extents{};
  std::string text;
  bool fits = true;
  for (std::uint32_t i = 0; i < axes; ++i) {
    const auto extent = cursor.number<std::uint64_t>(what + "'s shape");
    fits = fits && extent <= static_cast<std::uint64_t>(std::numeric_limits<Index>::max());
    extents[axes - 1 - i] = fits ? static_cast<Index>(extent) : 0;
    text.insert(0, std::to_string(extent) + (i == 0 ? "" : ", "));
  }
  try {
    if (fits) return Shape(std::span<const Index>(extents).first(axes));
  } catch (const ArgumentError&) {
  }
  cursor.fail(what + " has shape [" + text + "], whose size overflows");
}

DType read_dtype(Cursor& cursor, const std::string& what) {
  const auto type = cursor.number<std::uint32_t>(what + "'s type");
  if (const auto dtype = dtype_of_ggml(type)) return *dtype;
  const auto known = unread_ggml_type(type);
  cursor.fail(what + " has the " + (known.empty() ? "unknown type " : "type ") + std::to_string(type) +
              (known.empty() ? "" : " (" + std::string(known) + "), which is not read"));
}

/// Where the next tensor's data begin; no overflow, as `bytes` is below 2^63 and alignments below 2^32.
std::uint64_t padded(std::uint64_t bytes, std::uint64_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

TensorInfo read_tensor(Cursor& cursor, std::uint64_t number, std::size_t alignment, std::uint64_t expected) {
  TensorInfo info;
  info.name = read_name(cursor, "the name of tensor " + std::to_string(number));
  const auto what = "tensor " + in_quotes(info.name);
  info.shape = read_shape(cursor, what);
  info.dtype = read_dtype(cursor, what);
  const auto begin = cursor.number<std::uint64_t>(what + "'s offset");
  const Index row = info.shape.rank() == 0 ? 1 : info.shape[-1];
  if (const auto block = block_of(info.dtype).elements; row % block != 0)
    cursor.fail(what + " has rows of " + std::to_string(row) + " elements, which make no whole blocks of " +
                std::to_string(block) + " in " + std::string(name(info.dtype)));
  if (begin != expected)
    cursor.fail(what + " has offset " + std::to_string(begin) + ", expected " + std::to_string(expected) +
                " (aligned to " + std::to_string(alignment) + ", no holes, no overlaps)");
  std::uint64_t bytes = 0;
  try {
    bytes = static_cast<std::uint64_t>(bytes_of(info.dtype, info.shape.size()));
  } catch (const ArgumentError&) {
  }
  // So that the sum of all, padded, cannot overflow either.
  if ((bytes == 0 && info.shape.size() > 0) || bytes > (std::uint64_t{1} << 62) - begin)
    cursor.fail(what + " has shape " + to_string(info.shape) + ", whose size overflows");
  info.begin = static_cast<std::size_t>(begin);
  info.end = static_cast<std::size_t>(begin + bytes);
  return info;
}

void read_tensors(Cursor& cursor, std::uint64_t count, GgufHeader& header) {
  header.tensors.reserve(static_cast<std::size_t>(count));
  std::unordered_set<std::string_view> names;
  std::uint64_t expected = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    // Reserved above: the names stay where they are.
    const auto& info = header.tensors.emplace_back(read_tensor(cursor, i, header.alignment, expected));
    if (!names.insert(info.name).second) cursor.fail("tensor " + in_quotes(info.name) + " is there twice");
    expected = padded(info.end, header.alignment);
  }
}

void check_data(const Cursor& cursor, const GgufHeader& header, const SafetensorsOptions& options) {
  const std::uint64_t present =
      cursor.position() + cursor.left() - std::min(header.data_begin, cursor.position() + cursor.left());
  const std::uint64_t end = header.tensors.empty() ? 0 : header.tensors.back().end;
  if (end > present)
    cursor.fail("the tensors take " + std::to_string(end) + " bytes, but only " + std::to_string(present) +
                " follow the header; the file is cut short");
  const auto most = padded(end, header.alignment);
  if (present > most && !options.allow_trailing_bytes)
    cursor.fail(std::to_string(present - most) +
                " bytes follow the last tensor (allow_trailing_bytes accepts them)");
}

/// Gives back the shapes that ComfyUI-GGUF changed.
void restore_shapes(const Cursor& cursor, GgufHeader& header) {
  for (auto& info : header.tensors) {
    const auto found = header.values.find(std::string(orig_shape_key) + info.name);
    if (found == header.values.end()) continue;
    const auto refuse = [&] {
      cursor.fail("metadata value " + in_quotes(found->first) + " is " + shortened(found->second) +
                  ", which is no shape of as many elements as " + to_string(info.shape) + " has");
    };
    if (found->second.type() != GgufType::array ||
        found->second.size() > static_cast<std::uint64_t>(Shape::max_rank))
      refuse();
    std::vector<Index> extents;
    for (const auto& item : found->second.items()) {
      const auto extent = item.integer();
      if (!extent || *extent < 0) refuse();
      extents.push_back(*extent);
    }
    try {
      const Shape shape{std::span<const Index>(extents)};
      if (shape.size() != info.shape.size()) refuse();
      info.shape = shape;
    } catch (const ArgumentError&) {
      refuse();
    }
  }
}

}  // namespace

GgufHeader read_gguf_header(std::span<const std::byte> file, const std::string& name,
                            const SafetensorsOptions& options) {
  Cursor cursor(file, name);
  GgufHeader header;
  header.version = read_start(cursor);
  const auto tensors = read_count(cursor, "tensors"), values = read_count(cursor, "metadata values");
  check_count(cursor, tensors, least_tensor_bytes, "tensors");
  check_count(cursor, values, least_value_bytes, "metadata values");
  read_values(cursor, values, header, file);
  check_count(cursor, tensors, least_tensor_bytes, "tensors");
  read_tensors(cursor, tensors, header);
  header.data_begin = static_cast<std::size_t>(padded(cursor.position(), header.alignment));
  check_data(cursor, header, options);
  restore_shapes(cursor, header);
  return header;
}

}  // namespace daguerre::weights
