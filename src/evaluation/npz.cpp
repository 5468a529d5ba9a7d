#include "evaluation/npz.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <string_view>

#include "core/file_bytes.hpp"
#include "core/files.hpp"
#include "core/text.hpp"
#include "media/png_chunks.hpp"
#include "media/stb.hpp"

namespace daguerre::evaluation {
namespace {

constexpr std::string_view npz_name = "npz";
constexpr std::string_view npy_magic = "\x93NUMPY";
constexpr std::uint32_t local_mark = 0x04034b50, central_mark = 0x02014b50, end_mark = 0x06054b50,
                        large_end_mark = 0x06064b50, large_place_mark = 0x07064b50;
constexpr std::size_t local_size = 30, central_size = 46, end_size = 22, large_place_size = 20;
constexpr std::uint16_t large_extra = 1;  // ZIP64's sizes
constexpr std::uint32_t in_large_extra = 0xFFFFFFFF;

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// The number of `size` bytes at `place`, the lowest first. It must be there.
std::uint64_t number_at(std::span<const std::byte> bytes, std::size_t place, std::size_t size) {
  std::uint64_t result = 0;
  for (std::size_t i = 0; i < size; ++i) result |= std::to_integer<std::uint64_t>(bytes[place + i]) << 8 * i;
  return result;
}

/// What follows `'key':` in numpy's header, a literal of Python's dictionary; empty where it is not there.
std::string_view npy_value(std::string_view header, std::string_view key) {
  for (const char quote : {'\'', '"'}) {
    const auto place = header.find(quote + std::string(key) + quote);
    if (place == std::string_view::npos) continue;
    auto rest = header.substr(place + key.size() + 2);
    const auto begin = rest.find_first_not_of(" :");
    return begin == std::string_view::npos ? std::string_view() : rest.substr(begin);
  }
  return {};
}

/// "(3, 4)", "(3,)", "()". False where it is none of these.
bool read_npy_shape(std::string_view text, Shape& shape) {
  if (!text.starts_with('(')) return false;
  const auto end = text.find(')');
  if (end == std::string_view::npos) return false;
  std::vector<Index> extents;
  auto rest = text.substr(1, end - 1);
  while (!rest.empty()) {
    if (rest.front() == ' ' || rest.front() == ',') {
      rest.remove_prefix(1);
      continue;
    }
    Index extent = 0;
    const auto [stop, error] = std::from_chars(rest.data(), rest.data() + rest.size(), extent);
    if (error != std::errc() || extent < 0 || extents.size() == Shape::max_rank) return false;
    extents.push_back(extent);
    rest.remove_prefix(static_cast<std::size_t>(stop - rest.data()));
  }
  shape = Shape(std::span<const Index>(extents));
  return true;
}

void append_number(std::string& text, std::uint64_t value, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) text += static_cast<char>(value >> 8 * i & 0xFF);
}

/// An array as numpy.save writes it, up to its elements.
std::string npy_header(const Shape& shape) {
  std::string extents;
  for (const Index extent : shape) extents += (extents.empty() ? "" : ", ") + std::to_string(extent);
  if (shape.rank() == 1) extents += ",";
  std::string dictionary = "{'descr': '<f8', 'fortran_order': False, 'shape': (" + extents + "), }";
  constexpr std::size_t frame = 10, alignment = 64;
  dictionary.resize((frame + dictionary.size() + alignment) / alignment * alignment - frame - 1, ' ');
  dictionary += '\n';
  std::string result(npy_magic);
  result += '\x01';
  result += '\0';
  append_number(result, dictionary.size(), 2);
  return result + dictionary;
}

}  // namespace

void NpzFile::fail(const std::string& what) const {
  throw FormatError(npz_name, path_.string() + ": " + what, path_);
}

NpzFile NpzFile::open(const std::filesystem::path& path) {
  NpzFile file;
  file.path_ = path;
  const auto mapped = map_file(path, npz_name);
  file.owner_ = mapped.owner;
  file.bytes_ = mapped.bytes;
  file.is_mapped_ = mapped.is_mapped;
  const auto bytes = mapped.bytes;
  if (bytes.size() < end_size) file.fail("no .npz file: it has " + std::to_string(bytes.size()) + " bytes");
  // The end of a ZIP archive is found from behind, as a comment may follow.
  constexpr std::size_t longest_comment = 0xFFFF;
  std::size_t end = bytes.size() - end_size;
  const std::size_t first = end > longest_comment ? end - longest_comment : 0;
  while (number_at(bytes, end, 4) != end_mark) {
    if (end == first) file.fail("no .npz file: the end of a ZIP archive is not there; is it cut short?");
    --end;
  }
  std::uint64_t count = number_at(bytes, end + 10, 2), place = number_at(bytes, end + 16, 4);
  if (end >= large_place_size && number_at(bytes, end - large_place_size, 4) == large_place_mark) {
    const std::uint64_t large = number_at(bytes, end - large_place_size + 8, 8);
    if (large > end || end - large < 56 || number_at(bytes, large, 4) != large_end_mark)
      file.fail("the end of the ZIP64 archive is malformed");
    count = number_at(bytes, large + 32, 8);
    place = number_at(bytes, large + 48, 8);
  }
  for (std::uint64_t i = 0; i < count; ++i) {
    if (place > end || end - place < central_size || number_at(bytes, place, 4) != central_mark)
      file.fail("the ZIP archive's list of files is malformed");
    Entry entry;
    const auto flags = number_at(bytes, place + 8, 2), method = number_at(bytes, place + 10, 2);
    entry.checksum = static_cast<std::uint32_t>(number_at(bytes, place + 16, 4));
    entry.packed_size = number_at(bytes, place + 20, 4);
    entry.size = number_at(bytes, place + 24, 4);
    entry.header = number_at(bytes, place + 42, 4);
    const std::size_t name_size = number_at(bytes, place + 28, 2),
                      extra_size = number_at(bytes, place + 30, 2),
                      comment_size = number_at(bytes, place + 32, 2);
    const std::size_t whole = central_size + name_size + extra_size + comment_size;
    if (end - place < whole) file.fail("the ZIP archive's list of files is malformed");
    entry.name = as_text(bytes.subspan(place + central_size, name_size));
    auto extra = bytes.subspan(place + central_size + name_size, extra_size);
    while (extra.size() >= 4) {
      const auto kind = number_at(extra, 0, 2);
      const std::size_t size = number_at(extra, 2, 2);
      if (extra.size() - 4 < size) break;
      if (kind == large_extra) {
        std::size_t at = 4;
        for (auto* field : {&entry.size, &entry.packed_size, &entry.header}) {
          if (*field != in_large_extra) continue;
          if (at + 8 > 4 + size) file.fail("the ZIP64 sizes are malformed");
          *field = number_at(extra, at, 8);
          at += 8;
        }
      }
      extra = extra.subspan(4 + size);
    }
    place += whole;
    if ((flags & 1) != 0) file.fail(in_quotes(entry.name) + " is encrypted");
    if (method != 0 && method != 8)
      file.fail(in_quotes(entry.name) + " is compressed by method " + std::to_string(method) +
                ", which numpy does not use");
    entry.is_compressed = method == 8;
    if (entry.name.ends_with(".npy")) entry.name.resize(entry.name.size() - 4);
    file.entries_.push_back(std::move(entry));
  }
  return file;
}

std::vector<std::string> NpzFile::names() const {
  std::vector<std::string> result;
  for (const auto& entry : entries_) result.push_back(entry.name);
  return result;
}

const NpzFile::Entry* NpzFile::find(const std::string& name) const {
  const auto found =
      std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) { return entry.name == name; });
  return found == entries_.end() ? nullptr : &*found;
}

bool NpzFile::contains(const std::string& name) const {
  return find(name) != nullptr;
}

std::span<const std::byte> NpzFile::packed(const Entry& entry) const {
  const std::size_t size = bytes_.size();
  if (entry.header > size || size - entry.header < local_size ||
      number_at(bytes_, entry.header, 4) != local_mark)
    fail(in_quotes(entry.name) + " does not begin where the list of files says");
  const std::size_t begin = entry.header + local_size + number_at(bytes_, entry.header + 26, 2) +
                            number_at(bytes_, entry.header + 28, 2);
  if (begin > size || size - begin < entry.packed_size)
    fail(in_quotes(entry.name) + " ends behind the file's end");
  return bytes_.subspan(begin, entry.packed_size);
}

NpyArray NpzFile::array(const std::string& name) const {
  const auto* entry = find(name);
  if (entry == nullptr) {
    std::string found;
    for (const auto& other : entries_) found += (found.empty() ? "" : ", ") + in_quotes(other.name);
    fail("there is no array " + in_quotes(name) + ", found " + (found.empty() ? "none" : found));
  }
  const std::string who = "array " + in_quotes(name);
  NpyArray result;
  auto bytes = packed(*entry);
  result.owner = owner_;
  result.is_mapped = is_mapped_;
  if (entry->is_compressed) {
    constexpr std::uint64_t most = std::numeric_limits<std::int32_t>::max() - 16;  // stb counts in int
    if (entry->size > most || entry->packed_size > most)
      fail(who + " has 2 GB or more compressed; save it by numpy.savez instead of savez_compressed");
    // A deflate stream of n bytes cannot hold more than 1032 n: no memory for what is not there.
    if (entry->size > 1040 * entry->packed_size + 1040) fail(who + " says a size that it cannot have");
    auto whole = std::make_shared<std::vector<char>>(static_cast<std::size_t>(entry->size));
    if (stb::inflate_raw(bytes, *whole) != whole->size()) fail(who + ": the compressed data are malformed");
    bytes = std::as_bytes(std::span<const char>(*whole));
    result.owner = whole;
    result.is_mapped = false;
  } else if (entry->size != entry->packed_size) {
    fail(who + " is stored and has two sizes");
  }
  constexpr std::size_t most_checked = 64 << 20;
  if ((entry->is_compressed || bytes.size() <= most_checked) && png_crc32(as_text(bytes)) != entry->checksum)
    fail(who + ": the checksum is another; the file is damaged");

  if (bytes.size() < 12 || as_text(bytes.first(npy_magic.size())) != npy_magic)
    fail(who + " is no array of numpy's");
  const bool is_first = bytes[npy_magic.size()] == std::byte{1};
  const std::size_t begin = is_first ? 10 : 12, header_size = number_at(bytes, 8, is_first ? 2 : 4);
  if (bytes.size() - begin < header_size) fail(who + ": its header is cut short");
  const auto header = as_text(bytes.subspan(begin, header_size));
  const auto type = npy_value(header, "descr");
  const auto order = npy_value(header, "fortran_order");
  const auto type_end = type.size() < 2 ? std::string_view::npos : type.find(type.front(), 1);
  if (type_end == std::string_view::npos || (type.front() != '\'' && type.front() != '"') ||
      !(order.starts_with("True") || order.starts_with("False")) ||
      !read_npy_shape(npy_value(header, "shape"), result.shape))
    fail(who + ": its header is malformed: " + in_quotes(header));
  result.type = type.substr(1, type_end - 1);
  result.fortran_order = order.starts_with("True");
  result.bytes = bytes.subspan(begin + header_size);
  std::size_t width = 0;
  for (const char c : result.type)
    if (c >= '0' && c <= '9' && width < 1000) width = width * 10 + static_cast<std::size_t>(c - '0');
  if (checked_multiply(result.shape.size(), static_cast<Index>(width)) !=
      static_cast<Index>(result.bytes.size()))
    fail(who + ": " + to_string(result.shape) + " of " + in_quotes(result.type) + " and " +
         std::to_string(result.bytes.size()) + " bytes do not fit");
  return result;
}

Tensor<double> NpzFile::doubles(const std::string& name) const {
  const auto stored = array(name);
  Tensor<double> result(stored.shape);
  double* const out = result.data();
  if (stored.type == "<f8") {
    std::memcpy(out, stored.bytes.data(), stored.bytes.size());
  } else if (stored.type == "<f4") {
    for (Index i = 0; i < result.size(); ++i) {
      float value = 0.0f;
      std::memcpy(&value, stored.bytes.data() + 4 * i, 4);
      out[i] = double{value};
    }
  } else {
    fail("array " + in_quotes(name) + " is of " + in_quotes(stored.type) + ", expected <f8 or <f4");
  }
  if (!stored.fortran_order || stored.shape.rank() < 2) return result;
  if (stored.shape.rank() != 2) fail("array " + in_quotes(name) + " is in Fortran's order");
  Tensor<double> transposed(stored.shape);
  const Index rows = stored.shape[0], columns = stored.shape[1];
  double* const to = transposed.data();
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < columns; ++j) to[i * columns + j] = out[j * rows + i];
  return transposed;
}

void save_npz(const std::filesystem::path& path,
              const std::vector<std::pair<std::string, Tensor<double>>>& arrays) {
  std::string file, list;
  for (const auto& [name, array] : arrays) {
    std::string content = npy_header(array.shape());
    content += as_text(std::as_bytes(array.span()));
    if (content.size() >= in_large_extra || file.size() >= in_large_extra - content.size() - 4096)
      throw ArgumentError(npz_name, path.string() + ": 4 GB or more");
    const std::string entry = name + ".npy";
    std::string common;
    append_number(common, 20, 2);    // version needed
    append_number(common, 0, 2);     // flags
    append_number(common, 0, 2);     // stored
    append_number(common, 0, 2);     // time
    append_number(common, 0x21, 2);  // 1 January 1980
    append_number(common, png_crc32(content), 4);
    append_number(common, content.size(), 4);
    append_number(common, content.size(), 4);
    append_number(common, entry.size(), 2);
    append_number(common, 0, 2);  // extra
    append_number(list, central_mark, 4);
    append_number(list, 20, 2);
    list += common;
    append_number(list, 0, 2);  // comment
    append_number(list, 0, 2);  // disk
    append_number(list, 0, 2);
    append_number(list, 0, 4);
    append_number(list, file.size(), 4);
    list += entry;
    append_number(file, local_mark, 4);
    file += common + entry + content;
  }
  const std::size_t place = file.size();
  file += list;
  append_number(file, end_mark, 4);
  append_number(file, 0, 4);  // disks
  append_number(file, arrays.size(), 2);
  append_number(file, arrays.size(), 2);
  append_number(file, list.size(), 4);
  append_number(file, place, 4);
  append_number(file, 0, 2);  // comment
  write_file(npz_name, path, std::as_bytes(std::span<const char>(file)));
}

}  // namespace daguerre::evaluation
