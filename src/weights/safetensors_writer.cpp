#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/files.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "daguerre/weights/safetensors.hpp"
#include "weights/safetensors_header.hpp"

namespace daguerre::weights {
namespace {

constexpr std::string_view writer_name = "SafetensorsWriter";

void check_text(std::string_view text) {
  if (find_invalid_utf8(text) != std::string_view::npos)
    throw ArgumentError(writer_name, in_quotes(text) + " is not valid UTF-8");
}

}  // namespace

std::vector<std::byte> header_bytes(std::span<const TensorInfo> tensors,
                                    const std::map<std::string, std::string>& metadata) {
  // Compact JSON, its keys in the order of the data, as the reference writes it.
  std::string text = "{";
  const auto append = [&](std::string_view key, const std::string& value) {
    text.append(text.size() > 1 ? "," : "").append(nlohmann::json(key).dump() + ":" + value);
  };
  if (!metadata.empty()) append(metadata_key, nlohmann::json(metadata).dump());
  for (const auto& tensor : tensors)
    append(tensor.name,
           "{\"dtype\":\"" + std::string(weights::name(tensor.dtype)) + "\",\"shape\":" +
               nlohmann::json(std::vector<Index>(tensor.shape.begin(), tensor.shape.end())).dump() +
               ",\"data_offsets\":[" + std::to_string(tensor.begin) + "," + std::to_string(tensor.end) +
               "]}");
  text += '}';
  text.resize((text.size() + 7) / 8 * 8, ' ');
  if (text.size() > max_header_bytes)
    throw ArgumentError(writer_name, "the header would take " + std::to_string(text.size()) +
                                         " bytes, the limit is " + std::to_string(max_header_bytes));
  std::vector<std::byte> bytes(8 + text.size());
  for (std::size_t i = 0; i < 8; ++i)
    bytes[i] = static_cast<std::byte>(static_cast<std::uint64_t>(text.size()) >> (8 * i) & 0xFF);
  std::copy(text.begin(), text.end(), reinterpret_cast<char*>(bytes.data()) + 8);
  return bytes;
}

template <class T>
void SafetensorsWriter::add(std::string tensor_name, const Tensor<T>& tensor) {
  check_text(tensor_name);
  if (tensor_name == metadata_key)
    throw ArgumentError(writer_name, in_quotes(tensor_name) + " is reserved for metadata");
  const auto bytes = std::as_bytes(tensor.span());
  Entry entry{dtype_of<T>(), tensor.shape(), {bytes.begin(), bytes.end()}};
  if (!entries_.try_emplace(tensor_name, std::move(entry)).second)
    throw ArgumentError(writer_name, "tensor " + in_quotes(tensor_name) + " was added before");
}

template void SafetensorsWriter::add(std::string, const Tensor<float>&);
template void SafetensorsWriter::add(std::string, const Tensor<double>&);
template void SafetensorsWriter::add(std::string, const Tensor<bfloat16>&);
template void SafetensorsWriter::add(std::string, const Tensor<half>&);
template void SafetensorsWriter::add(std::string, const Tensor<std::int32_t>&);
template void SafetensorsWriter::add(std::string, const Tensor<std::int64_t>&);

void SafetensorsWriter::set_metadata(std::string key, std::string value) {
  check_text(key);
  check_text(value);
  metadata_[std::move(key)] = std::move(value);
}

std::vector<std::byte> SafetensorsWriter::to_bytes() const {
  // The reference's order: falling dtype, which is falling alignment, then names. Equal input gives equal
  // bytes.
  std::vector<const std::pair<const std::string, Entry>*> order;
  for (const auto& entry : entries_) order.push_back(&entry);
  std::stable_sort(order.begin(), order.end(),
                   [](auto* a, auto* b) { return a->second.dtype > b->second.dtype; });

  std::vector<TensorInfo> infos;
  std::size_t end = 0;
  for (const auto* item : order) {
    const auto& [tensor_name, entry] = *item;
    const std::size_t begin = end;
    end += entry.bytes.size();
    infos.push_back({tensor_name, entry.dtype, entry.shape, begin, end});
  }
  auto bytes = header_bytes(infos, metadata_);
  bytes.reserve(bytes.size() + end);
  for (const auto* item : order)
    bytes.insert(bytes.end(), item->second.bytes.begin(), item->second.bytes.end());
  return bytes;
}

void SafetensorsWriter::save(const std::filesystem::path& path) const {
  write_file(writer_name, path, to_bytes());
}

}  // namespace daguerre::weights
