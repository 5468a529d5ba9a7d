#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "daguerre/pipeline/family.hpp"
#include "daguerre/pipeline/load_component.hpp"

/// Which parts of a model are packed, mapped, kept and dropped.
namespace daguerre {

/// About what a part's weights take, in bytes.
struct PartSize {
  Part::Kind kind = Part::Kind::denoiser;
  bool droppable = false;    ///< can be loaded in each run
  std::uint64_t packed = 0;  ///< in memory
  std::uint64_t mapped = 0;  ///< in memory, where the rest stays in the file
  std::uint64_t stored = 0;  ///< in the file
};

/// The size of a part with such weights that multiplies in `precision`. Of a mapped one, norms and biases are
/// in memory, and the largest layer while it is multiplied; 8-bit layers are never mapped.
PartSize size_of(Part::Kind kind, const weights::StateDict& weights, Precision precision);

/// What the weights of all parts take at once, at most: those that are kept, and with them either the text
/// encoders or the autoencoder.
std::uint64_t peak(std::span<const PartSize> parts, std::span<const Keeping> kept);

/// How each part is kept: the first of what `options` allow it that fits, in the order packed and kept,
/// mapped and kept, dropped; text encoders and autoencoders that would take more than twice their file's size
/// (weights in blocks) are rather mapped. The denoiser chooses first, then the others from the smallest on.
/// Without a limit the weights may take what is `available`, less a quarter of it (4 GB at most) for
/// activations, and less the file of a denoiser that is mapped: it is read again in each step, and fast as
/// long as the system can keep its pages. Throws ArgumentError where nothing that `options` allow fits the
/// limit that they set, saying by how much and what would.
std::vector<Keeping> plan_memory(std::span<const PartSize> parts, const MemoryOptions& options,
                                 std::optional<std::uint64_t> available);

/// "9500 MB", rounded up.
std::string megabytes(std::uint64_t bytes);

}  // namespace daguerre
