#include "daguerre/models/vision_encoders/qwen2_5_vision-inl.hpp"
#include "daguerre/ops/host_values.hpp"
#include "daguerre/ops/tokens.hpp"
#include "models/text_encoders/transformers_keys.hpp"

namespace daguerre::models {

template class Qwen25Vision<float>;
template class Qwen25Vision<bfloat16>;

namespace {

constexpr const char* qwen_vision_who = "qwen2_5_vision";

void check_vision(const Qwen25VisionConfig& c, const std::string& source) {
  constexpr Index most = 1 << 20;
  for (const Index size :
       {c.hidden_size, c.intermediate_size, c.out_hidden_size, Index{c.depth}, Index{c.num_heads},
        c.in_channels, c.patch_size, c.temporal_patch_size, c.spatial_merge_size, c.window_size})
    if (size < 1 || size > most)
      throw ConfigError(qwen_vision_who, source + ": sizes must be positive, one is " + std::to_string(size));
  if (c.hidden_size % c.num_heads != 0 || c.hidden_size / c.num_heads % 4 != 0)
    throw ConfigError(qwen_vision_who, source + ": num_heads " + std::to_string(c.num_heads) +
                                           " do not divide hidden_size " + std::to_string(c.hidden_size) +
                                           " into multiples of 4");
  if (c.patch_size > 1024 || c.temporal_patch_size > 1024 || c.in_channels > 1024 ||
      c.spatial_merge_size > 64)
    throw ConfigError(qwen_vision_who, source + ": patches are too large");
  if (c.window_size < c.patch_size * c.spatial_merge_size)
    throw ConfigError(qwen_vision_who, source + ": window_size " + std::to_string(c.window_size) +
                                           " is less than a token's " +
                                           std::to_string(c.patch_size * c.spatial_merge_size) + " pixels");
}

void check_grid(const Qwen25VisionConfig& config, const PatchGrid& grid) {
  const Index merge = config.spatial_merge_size;
  if (grid.frames < 1 || grid.rows < 1 || grid.columns < 1 || grid.rows % merge != 0 ||
      grid.columns % merge != 0)
    throw ArgumentError(qwen_vision_who, std::to_string(grid.frames) + " x " + std::to_string(grid.rows) +
                                             " x " + std::to_string(grid.columns) +
                                             " patches; rows and columns must be multiples of " +
                                             std::to_string(merge));
  constexpr Index most = Index{1} << 30;
  if (grid.frames > most || grid.rows > most / grid.frames || grid.columns > most / grid.frames / grid.rows)
    throw ArgumentError(qwen_vision_who, std::to_string(grid.frames) + " x " + std::to_string(grid.rows) +
                                             " x " + std::to_string(grid.columns) + " patches are too many");
}

}  // namespace

Qwen25VisionConfig Qwen25VisionConfig::from(const Config& config) {
  const auto text = config.json("vision_config");
  if (!text) throw ConfigError(qwen_vision_who, config.source() + ": there is no vision_config");
  Qwen25VisionConfig result;
  result.image_token_id = config.get("image_token_id", result.image_token_id);
  const auto vision = Config::parse(*text, config.source() + ", vision_config");
  vision.expect("model_type", {"\"qwen2_5_vl\"", "\"qwen2_5_vl_vision\""});
  const auto size = [&](const char* key, Index& value) { value = vision.get(key, static_cast<int>(value)); };
  size("hidden_size", result.hidden_size);
  size("intermediate_size", result.intermediate_size);
  size("out_hidden_size", result.out_hidden_size);
  result.depth = vision.get("depth", result.depth);
  result.num_heads = vision.get("num_heads", result.num_heads);
  // Published files say in_chans; in_channels is what counts.
  size("in_channels", result.in_channels);
  size("patch_size", result.patch_size);
  size("temporal_patch_size", result.temporal_patch_size);
  size("spatial_merge_size", result.spatial_merge_size);
  size("window_size", result.window_size);
  if (vision.has("fullatt_block_indexes"))
    result.fullatt_block_indexes = vision.require_ints("fullatt_block_indexes");
  result.activation = ops::parse_activation(vision.get("hidden_act", "silu"), vision.source());
  vision.ignore({"in_chans", "spatial_patch_size", "tokens_per_second"});
  leave_transformers_keys(vision);
  vision.finish();
  check_vision(result, vision.source());
  return result;
}

namespace detail {

PatchWindows patch_windows(const Qwen25VisionConfig& config, std::span<const PatchGrid> grids) {
  const Index merge = config.spatial_merge_size, unit = config.merged();
  const Index side = config.window_size / merge / config.patch_size;  // of a window, in tokens
  PatchWindows result;
  Index before = 0;  // tokens of the pictures and frames that are done
  std::vector<std::int32_t> tokens;
  const auto add = [&](Index row, Index column, Index columns) {
    const Index token = before + row * columns + column;
    tokens.push_back(static_cast<std::int32_t>(token));
    for (Index i = 0; i < unit; ++i) {
      result.patches.push_back(static_cast<std::int32_t>(token * unit + i));
      result.rows.push_back(static_cast<std::int32_t>(row * merge + i / merge));
      result.columns.push_back(static_cast<std::int32_t>(column * merge + i % merge));
    }
  };
  for (const auto& grid : grids) {
    check_grid(config, grid);
    const Index rows = grid.rows / merge, columns = grid.columns / merge;
    for (Index frame = 0; frame < grid.frames; ++frame, before += rows * columns) {
      result.frames.push_back(rows * columns * unit);
      for (Index top = 0; top < rows; top += side)
        for (Index left = 0; left < columns; left += side) {
          const Index bottom = std::min(rows, top + side), right = std::min(columns, left + side);
          for (Index row = top; row < bottom; ++row)
            for (Index column = left; column < right; ++column) add(row, column, columns);
          result.windows.push_back((bottom - top) * (right - left) * unit);
        }
    }
  }
  if (before == 0) throw ArgumentError(qwen_vision_who, "there are no pictures");
  result.back.resize(tokens.size());
  for (std::size_t i = 0; i < tokens.size(); ++i)
    result.back[static_cast<std::size_t>(tokens[i])] = static_cast<std::int32_t>(i);
  return result;
}

}  // namespace detail

Tensor<std::int32_t> picture_positions(const Qwen25VisionConfig& config, std::span<const std::int32_t> ids,
                                       std::span<const PatchGrid> grids) {
  std::vector<std::int32_t> time, rows, columns;
  std::int32_t next = 0;
  std::size_t picture = 0;
  for (std::size_t i = 0; i < ids.size();) {
    if (ids[i] != config.image_token_id) {
      for (auto* axis : {&time, &rows, &columns}) axis->push_back(next);
      ++next;
      ++i;
      continue;
    }
    if (picture == grids.size())
      throw ArgumentError(qwen_vision_who, "the text has more pictures than the " +
                                               std::to_string(grids.size()) + " that are given");
    const auto& grid = grids[picture++];
    check_grid(config, grid);
    const Index height = grid.rows / config.spatial_merge_size,
                width = grid.columns / config.spatial_merge_size;
    for (Index token = 0; token < grid.frames * height * width; ++token, ++i) {
      if (i == ids.size() || ids[i] != config.image_token_id)
        throw ArgumentError(qwen_vision_who, "picture " + std::to_string(picture - 1) + " has " +
                                                 std::to_string(token) +
                                                 " tokens in the text, its grid says " +
                                                 std::to_string(grid.frames * height * width));
      time.push_back(next);
      rows.push_back(next + static_cast<std::int32_t>(token / width % height));
      columns.push_back(next + static_cast<std::int32_t>(token % width));
    }
    next += static_cast<std::int32_t>(std::max(height, width));
  }
  if (picture != grids.size())
    throw ArgumentError(qwen_vision_who, "the text has " + std::to_string(picture) + " pictures, " +
                                             std::to_string(grids.size()) + " are given");
  auto all = time;
  all.insert(all.end(), rows.begin(), rows.end());
  all.insert(all.end(), columns.begin(), columns.end());
  return Tensor<std::int32_t>::copy_of({3, 1, static_cast<Index>(ids.size())}, all);
}

Tensor<float> with_pictures(const ops::Context& context, Tensor<float> embeds,
                            const Tensor<std::int32_t>& ids, std::int32_t image_token_id,
                            const Tensor<float>& pictures) {
  std::vector<std::int32_t> places;
  const auto values = ops::host_values(ids);
  for (std::size_t i = 0; i < values.size(); ++i)
    if (values[i] == image_token_id) places.push_back(static_cast<std::int32_t>(i));
  if (pictures.rank() != 2 || pictures.dim(0) != static_cast<Index>(places.size()))
    throw ArgumentError(qwen_vision_who, "pictures of " + to_string(pictures.shape()) + " for " +
                                             std::to_string(places.size()) + " tokens in the text");
  return ops::put_rows(context, std::move(embeds), places, pictures);
}

}  // namespace daguerre::models
