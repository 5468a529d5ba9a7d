#include "sample_order.hpp"

#include <algorithm>
#include <optional>
#include <string>

#include <daguerre/core/memory.hpp>
#include <daguerre/evaluation/process_group.hpp>
#include <daguerre/weights/adapter_file.hpp>

namespace daguerre::cli {

std::vector<std::filesystem::path> files_of(const Order& order) {
  std::vector<std::filesystem::path> files;
  for (const auto* file : {&order.model, &order.denoiser, &order.autoencoder, &order.tokenizer,
                           &order.configs, &order.comfort.vae})
    if (!file->empty()) files.emplace_back(*file);
  for (const auto& file : order.text_encoders) files.emplace_back(file);
  for (const auto& use : order.load.loras) files.emplace_back(use.lora->file().source());
  return files;
}

std::uint64_t memory_share(evaluation::ProcessGroup& group) {
  constexpr std::uint64_t most_spared = 4'000'000'000;
  std::uint64_t share = 0;  // leaves it to the library
  if (const auto available = group.size_here() > 1 ? available_memory() : std::nullopt)
    share =
        (*available - std::min(*available / 4, most_spared)) / static_cast<std::uint64_t>(group.size_here());
  return std::stoull(group.broadcast(std::to_string(share)));
}

}  // namespace daguerre::cli
