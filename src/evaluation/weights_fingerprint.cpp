#include "evaluation/weights_fingerprint.hpp"

#include <vector>

#include "core/sha256.hpp"

namespace daguerre::evaluation {

std::string weights_fingerprint(const weights::StateDict& weights, const Threads& threads) {
  const auto names = weights.names();
  std::vector<std::string> parts(names.size());
  parallel_for(threads, static_cast<Index>(names.size()), 1, [&](Index begin, Index end) {
    std::vector<std::byte> scratch;
    for (Index i = begin; i < end; ++i) {
      const auto n = static_cast<std::size_t>(i);
      const auto* info = weights.find(names[n]);
      Sha256 hash;
      hash.add(weights.bytes(names[n], scratch));
      weights.release_pages(names[n]);
      parts[n] = names[n] + " " + std::string(weights::name(info->dtype)) + " " + to_string(info->shape) +
                 " " + hash.hex() + "\n";
    }
  });
  Sha256 whole;
  for (const auto& part : parts) whole.add(std::as_bytes(std::span<const char>(part)));
  return whole.hex();
}

}  // namespace daguerre::evaluation
