#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace daguerre::text {

/// Whether bytes begin as a gzip file does.
bool is_gzip(std::span<const std::byte> bytes) noexcept;

/// The text in a gzip file of one member (RFC 1952, RFC 1951), its checksum compared. Throws FormatError, in
/// the name of `source`, for a malformed file and for a text of more than `limit` bytes.
std::string gunzip(std::span<const std::byte> bytes, std::size_t limit, const std::string& source);

}  // namespace daguerre::text
