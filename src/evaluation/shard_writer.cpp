#include "daguerre/evaluation/shard_writer.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "evaluation/tar_format.hpp"

namespace daguerre::evaluation {
namespace {

constexpr const char* shard_writer_name = "shard";
constexpr std::uint64_t ustar_size_limit = std::uint64_t{1} << 33;  // eleven octal digits
constexpr std::array<std::byte, 2 * tar_block> zeros{};

FileError cannot_write(const std::filesystem::path& path) {
  return FileError(shard_writer_name,
                   path.string() + ": cannot be written: " + std::generic_category().message(errno), path);
}

void put_text(TarHeader& header, TarField field, std::string_view text) {
  std::copy_n(text.begin(), std::min(text.size(), field.size), header.begin() + field.at);
}

/// Octal digits that fill the field up to a NUL at its end.
void put_number(TarHeader& header, TarField field, std::uint64_t value) {
  for (std::size_t i = field.size - 1; i-- > 0; value >>= 3)
    header[field.at + i] = static_cast<unsigned char>('0' + (value & 7));
}

/// "23 path=pictures/1.png\n", whose number counts the whole line.
std::string pax_record(std::string_view key, std::string_view value) {
  const std::size_t rest = key.size() + value.size() + 3;
  std::size_t length = rest;
  while (length != rest + std::to_string(length).size()) length = rest + std::to_string(length).size();
  return std::to_string(length) + " " + std::string(key) + "=" + std::string(value) + "\n";
}

bool has_parent_folder(std::string_view name) {
  while (true) {
    const auto end = name.find('/');
    if (name.substr(0, end) == "..") return true;
    if (end == name.npos) return false;
    name.remove_prefix(end + 1);
  }
}

}  // namespace

ShardWriter::ShardWriter(std::filesystem::path file)
    : path_(std::move(file)), file_(std::fopen(path_.string().c_str(), "wbx")) {
  if (!file_) throw cannot_write(path_);
}

void ShardWriter::put(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size()) throw cannot_write(path_);
  written_ += bytes.size();
}

void ShardWriter::put_member(std::string_view name, std::string_view prefix, char type,
                             std::span<const std::byte> bytes) {
  TarHeader header{};
  put_text(header, tar_name, name);
  put_text(header, tar_prefix, prefix);
  put_number(header, tar_mode, 0644);
  put_number(header, tar_owner, 0);
  put_number(header, tar_group, 0);
  put_number(header, tar_size, bytes.size());
  put_number(header, tar_time, 0);
  header[tar_type.at] = static_cast<unsigned char>(type);
  put_text(header, tar_magic, "ustar");
  put_text(header, tar_version, "00");
  put_number(header, {tar_checksum.at, 7}, static_cast<std::uint64_t>(tar_sum(header)));
  header[tar_checksum.at + 7] = ' ';
  put(std::as_bytes(std::span(header)));
  put(bytes);
  put(std::span(zeros).first(static_cast<std::size_t>(tar_padding(bytes.size()))));
}

std::uint64_t ShardWriter::add(std::string_view name, std::span<const std::byte> bytes) {
  if (!file_) throw ArgumentError(shard_writer_name, path_.string() + ": is finished, nothing can be added");
  if (name.empty() || name.front() == '/' || name.back() == '/' || name.find('\0') != name.npos ||
      has_parent_folder(name) || name.size() > 4096)
    throw ArgumentError(shard_writer_name, in_quotes(name) + " is no name for a file in a shard");
  if (bytes.size() >= ustar_size_limit)
    throw ArgumentError(shard_writer_name, in_quotes(name) + " has " + std::to_string(bytes.size()) +
                                               " bytes, expected less than 8 GB");
  std::string_view prefix, rest = name;
  if (rest.size() > tar_name.size) {  // a slash may part it in two fields
    const auto slash = name.find('/', name.size() - tar_name.size - 1);
    if (slash != name.npos && slash > 0 && slash <= tar_prefix.size) {
      prefix = name.substr(0, slash);
      rest = name.substr(slash + 1);
    } else {
      const auto record = pax_record("path", name);
      put_member("PaxHeader", "", 'x', std::as_bytes(std::span(record)));
      rest = name.substr(0, tar_name.size);
    }
  }
  const std::uint64_t at = written_ + tar_block;
  put_member(rest, prefix, '0', bytes);
  return at;
}

std::uint64_t ShardWriter::add(std::string_view name, std::string_view text) {
  return add(name, std::as_bytes(std::span(text)));
}

void ShardWriter::finish() {
  if (!file_) return;
  put(zeros);
  if (std::fclose(file_.release()) != 0) throw cannot_write(path_);
}

}  // namespace daguerre::evaluation
