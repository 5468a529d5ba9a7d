#include "support/files.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <random>
#include <span>
#include <stdexcept>
#include <system_error>

namespace daguerre::test {

namespace fs = std::filesystem;

TempFolder::TempFolder()
    : path_(fs::temp_directory_path() / ("daguerre-test-" + std::to_string(std::random_device{}()))) {
  if (!fs::create_directory(path_)) throw std::runtime_error(path_.string() + " exists");
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

fs::path TempFolder::write(std::string_view name, std::string_view content) const {
  const fs::path path = path_ / name;
  fs::create_directories(path.parent_path());
  std::ofstream stream(path, std::ios::binary);
  stream << content;
  if (!stream.flush()) throw std::runtime_error("cannot write " + path.string());
  return path;
}

std::vector<std::string> TempFolder::names() const {
  std::vector<std::string> result;
  for (const auto& entry : fs::directory_iterator(path_)) result.push_back(entry.path().filename().string());
  std::sort(result.begin(), result.end());
  return result;
}

std::string read_file(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw std::runtime_error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::string safetensors_text(std::string_view header, std::string_view data) {
  return safetensors_text(header.size(), header, data);
}

std::string safetensors_text(std::uint64_t claimed_length, std::string_view header, std::string_view data) {
  std::string text;
  for (int i = 0; i < 8; ++i) text += static_cast<char>(claimed_length >> (8 * i) & 0xFF);
  return text.append(header).append(data);
}

std::shared_ptr<const std::vector<std::byte>> as_buffer(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return std::make_shared<const std::vector<std::byte>>(bytes.begin(), bytes.end());
}

}  // namespace daguerre::test
