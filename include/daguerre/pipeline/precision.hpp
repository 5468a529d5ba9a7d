#pragma once

#include <string_view>

namespace daguerre {

/// What the networks compute in. `automatic` is bfloat16 where the processor multiplies it natively, else
/// float32. `int8` multiplies 8-bit integers in the denoiser, which needs the engine "onednn"; its norms,
/// attention, first and last layers, the text encoder and the autoencoder are as with `automatic`.
enum class Precision { automatic, float32, bfloat16, int8 };

/// How weights are kept. `packed`: converted and laid out once, fastest. `mapped`: as they lie in the file's
/// pages, unpacked tile by tile at each product, smallest; the same numbers come out. `automatic` packs,
/// unless that would take more than the memory limit.
enum class WeightStorage { automatic, packed, mapped };

/// "auto", "f32", "bf16", "int8".
std::string_view short_name(Precision precision) noexcept;
/// The precision of that short name. Throws ArgumentError naming those there are.
Precision precision_called(std::string_view short_name);
/// The same for "auto", "packed", "mapped".
WeightStorage weight_storage_called(std::string_view name);

}  // namespace daguerre
