#pragma once

#include <string_view>

namespace daguerre {

/// What the networks compute in. `automatic` is bfloat16 where the processor multiplies it faster, else
/// float32. `int8` multiplies 8-bit integers in the denoiser, which needs the engine "onednn"; its norms,
/// attention, first and last layers, the text encoder and the autoencoder are as with `automatic`.
enum class Precision { automatic, float32, bfloat16, int8 };

/// How weights are kept. `packed`: converted and laid out once, fastest, above all where products have few
/// rows. `mapped`: as they lie in the file's pages, unpacked tile by tile at each product, smallest; the same
/// numbers come out. `automatic` decides part by part and packs what fits the memory limit: the denoiser
/// first, which is asked again and again, then the others from the smallest on. Of the others, what would
/// take more than twice its file's size (blocks of a few bits) stays mapped where it is used once a picture,
/// as does what is loaded when it is needed: packing it takes longer than it saves.
enum class WeightStorage { automatic, packed, mapped };

/// How long text encoders and the autoencoder stay. `kept`: from load on. `when_needed`: they are checked at
/// load, loaded in each run for the stage that asks for them, and dropped behind it; runs at the same time
/// share them. `automatic`: kept where they fit the memory limit beside the rest. The denoiser is always
/// kept.
enum class Residency { automatic, kept, when_needed };

/// "auto", "f32", "bf16", "int8".
std::string_view short_name(Precision precision) noexcept;
/// The precision of that short name. Throws ArgumentError naming those there are.
Precision precision_called(std::string_view short_name);
/// The same for "auto", "packed", "mapped".
std::string_view short_name(WeightStorage weights) noexcept;
WeightStorage weight_storage_called(std::string_view short_name);
/// The same for "auto", "kept", "when-needed".
std::string_view short_name(Residency residency) noexcept;
Residency residency_called(std::string_view short_name);

}  // namespace daguerre
