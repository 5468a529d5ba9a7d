#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "daguerre/core/error.hpp"
#include "daguerre/weights/checkpoint.hpp"
#include "weights/single_file_names.hpp"

// Lines of a tensor's name and extents. What is recognised in them is also named as one file would have it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace daguerre;
  try {
    std::istringstream lines(std::string(reinterpret_cast<const char*>(data), size));
    weights::SafetensorsWriter writer;
    Index total = 0;
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string name;
      std::vector<Index> extents;
      words >> name;
      for (Index extent; words >> extent && extents.size() < 5;) extents.push_back(extent % 4096);
      const Shape shape{std::span<const Index>(extents)};
      total += shape.size();
      if (total > 1 << 20) return 0;
      writer.add(name, Tensor<half>::zeros(shape));
    }
    const auto bytes = std::make_shared<const std::vector<std::byte>>(writer.to_bytes());
    const weights::StateDict file({weights::SafetensorsFile::from_memory(bytes, "fuzz")});
    const auto checkpoint = weights::open_checkpoint(file);
    std::vector<std::string> left_out;
    if (checkpoint.model_index)
      weights::single_file_tensors(checkpoint, left_out);
    else
      for (const auto& part : checkpoint.parts) weights::single_part_tensors(part);
  } catch (const Error&) {
  }
  return 0;
}
