#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <string>

#include "weights/key_maps/layouts.hpp"
#include "weights/key_maps/names.hpp"

namespace daguerre::weights::key_maps {
namespace {

constexpr std::array<Rule, 4> ltx_vae_rules{
    {{"per_channel_statistics.mean-of-means", "latents_mean"},
     {"per_channel_statistics.std-of-means", "latents_std"},
     {"decoder.last_time_embedder", "decoder.time_embedder"},
     {"decoder.last_scale_shift_table", "decoder.scale_shift_table"}}};
/// Of a residual block.
constexpr std::array<Rule, 2> ltx_residual_rules{
    {{"conv_shortcut", "conv_shortcut.conv"}, {"norm3.norm", "norm3"}}};

/// What an entry of a list of blocks is: residual blocks of one width, one that changes it, or a change of
/// size.
enum class LTXEntry { group, channels, size };
using LTXList = std::map<int, LTXEntry>;

LTXList ltx_list(const StateDict& weights, std::string_view prefix) {
  LTXList result;
  for (const auto& name : weights.names())
    if (const auto found = numbered(name, prefix)) {
      const auto& [number, rest] = *found;
      if (rest.starts_with("res_blocks."))
        result[number] = LTXEntry::group;
      else if (rest.starts_with("conv1.") || rest.starts_with("conv2."))
        result[number] = LTXEntry::channels;
      else
        result.try_emplace(number, LTXEntry::size);
    }
  return result;
}

std::string ltx_residual_name(std::string_view rest) {
  return to_diffusers(rest, ltx_residual_rules).value_or(std::string(rest));
}

/// What the entry is called among a level's.
std::string ltx_entry_name(std::string_view rest, LTXEntry kind, const char* channels, const char* size) {
  if (kind == LTXEntry::size) return std::string(size).append(rest);
  if (kind == LTXEntry::channels) return std::string(channels).append(ltx_residual_name(rest));
  if (const auto found = numbered(rest, "res_blocks."))
    return joined_name("resnets.", found->first, ltx_residual_name(found->second));
  return std::string(rest);
}

/// An encoder's level begins with a group, a decoder's ends with one; the encoder's last group and the
/// decoder's first are between both.
std::string ltx_vae_name(const std::string& name, const LTXList& down, const LTXList& up) {
  const auto groups = [](LTXList::const_iterator begin, LTXList::const_iterator end) {
    return static_cast<int>(
        std::count_if(begin, end, [](const auto& entry) { return entry.second == LTXEntry::group; }));
  };
  if (const auto found = numbered(name, "encoder.down_blocks.")) {
    const auto entry = down.find(found->first);
    const auto own = ltx_entry_name(found->second, entry->second, "conv_out.", "downsamplers.0.");
    const int level = groups(down.begin(), std::next(entry)) - 1;
    if (level + 1 == groups(down.begin(), down.end())) return "encoder.mid_block." + own;
    return joined_name("encoder.down_blocks.", level, own);
  }
  if (const auto found = numbered(name, "decoder.up_blocks.")) {
    const auto entry = up.find(found->first);
    const auto own = ltx_entry_name(found->second, entry->second, "conv_in.", "upsamplers.0.");
    const int level = groups(up.begin(), entry) - 1;
    return level < 0 ? "decoder.mid_block." + own : joined_name("decoder.up_blocks.", level, own);
  }
  return to_diffusers(name, ltx_vae_rules).value_or(name);
}

}  // namespace

bool is_original_ltx_autoencoder(const StateDict& weights) {
  return weights.contains("per_channel_statistics.mean-of-means") &&
         weights.contains("decoder.conv_in.conv.weight");
}

StateDict from_original_ltx_autoencoder(const StateDict& weights) {
  const auto down = ltx_list(weights, "encoder.down_blocks."), up = ltx_list(weights, "decoder.up_blocks.");
  std::vector<RenamedTensor> result;
  for (const auto& name : weights.names()) result.push_back({ltx_vae_name(name, down, up), name});
  return weights.renamed(result);
}

}  // namespace daguerre::weights::key_maps
