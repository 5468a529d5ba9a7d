#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

/// The header block of a tar file (POSIX.1-1988 ustar; POSIX.1-2001, "pax", section "ustar Interchange
/// Format").
namespace daguerre::evaluation {

inline constexpr std::size_t tar_block = 512;

struct TarField {
  std::size_t at, size;
};
inline constexpr TarField tar_name{0, 100}, tar_mode{100, 8}, tar_owner{108, 8}, tar_group{116, 8},
    tar_size{124, 12}, tar_time{136, 12}, tar_checksum{148, 8}, tar_type{156, 1}, tar_magic{257, 6},
    tar_version{263, 2}, tar_prefix{345, 155};

using TarHeader = std::array<unsigned char, tar_block>;

/// The sum of a header's bytes, its checksum's own counting as spaces. Some old writers summed signed bytes.
inline std::int64_t tar_sum(const TarHeader& header, bool is_signed = false) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < tar_block; ++i) {
    const bool own = i >= tar_checksum.at && i < tar_checksum.at + tar_checksum.size;
    const unsigned char byte = own ? ' ' : header[i];
    sum += is_signed ? static_cast<std::int64_t>(static_cast<signed char>(byte)) : byte;
  }
  return sum;
}

/// Bytes up to the next block's beginning.
inline std::uint64_t tar_padding(std::uint64_t size) {
  return (tar_block - size % tar_block) % tar_block;
}

}  // namespace daguerre::evaluation
