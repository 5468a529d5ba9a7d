#include <cmath>

#include "daguerre/models/denoisers/cogvideox_transformer-inl.hpp"

namespace daguerre::models {
namespace {

constexpr const char* cogvideox_who = "cogvideox";
constexpr double cogvideox_theta = 10000.0;

/// Where rows or columns of a grid stand: from `begin` on, `end / count` apart from 0 to the last.
std::vector<float> grid_places(Index begin, Index end, Index count) {
  std::vector<float> places(static_cast<std::size_t>(count));
  const auto first = static_cast<double>(begin);
  const double last = static_cast<double>(end * (count - 1)) / static_cast<double>(count);
  for (Index i = 0; i < count; ++i)
    places[static_cast<std::size_t>(i)] = static_cast<float>(
        count == 1 ? first
                   : first + (last - first) * static_cast<double>(i) / static_cast<double>(count - 1));
  return places;
}

/// Of frames, rows and columns.
using FilmPlaces = std::array<std::vector<float>, 3>;

/// The grid in the largest rectangle of its proportions that fits into the middle of the one of training.
FilmPlaces fitted_places(Index frames, Index rows, Index columns, Index base_rows, Index base_columns) {
  const auto height = static_cast<double>(base_rows), width = static_cast<double>(base_columns);
  const auto h = static_cast<double>(rows), w = static_cast<double>(columns);
  Index fitted_rows = base_rows, fitted_columns = base_columns;
  // Halves are rounded to the even number, as Python does.
  const auto rounded = [](double value) { return static_cast<Index>(std::nearbyint(value)); };
  if (h / w > height / width)
    fitted_columns = rounded(height / h * w);
  else
    fitted_rows = rounded(width / w * h);
  const Index top = rounded(static_cast<double>(base_rows - fitted_rows) / 2.0);
  const Index left = rounded(static_cast<double>(base_columns - fitted_columns) / 2.0);
  return {detail::counted(frames), grid_places(top, top + fitted_rows, rows),
          grid_places(left, left + fitted_columns, columns)};
}

}  // namespace

ops::RotaryTable cogvideox_rotation(const CogVideoXTransformerConfig& config, Index frames, Index height,
                                    Index width) {
  const Index patch = config.patch_size, rows = height / patch, columns = width / patch;
  const Index base_rows = config.sample_height / patch, base_columns = config.sample_width / patch;
  const Index slices = (frames + config.patch_frames() - 1) / config.patch_frames();
  if (rows < 1 || columns < 1 || slices < 1)
    throw ArgumentError(cogvideox_who, "a grid of " + std::to_string(slices) + " x " + std::to_string(rows) +
                                           " x " + std::to_string(columns) + " patches");
  FilmPlaces places;
  if (config.patch_size_t == 0) {
    places = fitted_places(slices, rows, columns, base_rows, base_columns);
  } else {
    if (rows > base_rows || columns > base_columns)
      throw ArgumentError(cogvideox_who, std::to_string(rows) + " x " + std::to_string(columns) +
                                             " patches, the model knows positions of " +
                                             std::to_string(base_rows) + " x " +
                                             std::to_string(base_columns));
    places = {detail::counted(slices), detail::counted(rows), detail::counted(columns)};
  }
  const Index head = config.attention_head_dim;
  const std::array<Index, 3> axes{head / 4, head / 8 * 3, head / 8 * 3};
  return ops::rotary_table(ops::grid_positions(places), axes, cogvideox_theta);
}

CogVideoXTransformerConfig CogVideoXTransformerConfig::from(const Config& config) {
  if (const auto name = config.class_name(); name != "CogVideoXTransformer3DModel")
    throw ConfigError(cogvideox_who,
                      config.source() + ": class \"" + name + "\" is not CogVideoXTransformer3DModel");
  CogVideoXTransformerConfig result;
  const auto read = [&](const char* key, Index& value) { value = config.get(key, static_cast<int>(value)); };
  result.num_attention_heads = config.get("num_attention_heads", result.num_attention_heads);
  read("attention_head_dim", result.attention_head_dim);
  read("in_channels", result.in_channels);
  read("out_channels", result.out_channels);
  result.timestep.flip_sin_to_cos = config.get("flip_sin_to_cos", true);
  result.timestep.freq_shift = static_cast<float>(config.get("freq_shift", 0.0));
  read("time_embed_dim", result.time_embed_dim);
  result.ofs_embed_dim = config.optional_int("ofs_embed_dim").value_or(0);
  read("text_embed_dim", result.text_embed_dim);
  result.num_layers = config.get("num_layers", result.num_layers);
  result.attention_bias = config.get("attention_bias", result.attention_bias);
  read("sample_width", result.sample_width);
  read("sample_height", result.sample_height);
  read("sample_frames", result.sample_frames);
  read("patch_size", result.patch_size);
  result.patch_size_t = config.optional_int("patch_size_t").value_or(0);
  read("temporal_compression_ratio", result.temporal_compression_ratio);
  read("max_text_seq_length", result.max_text_seq_length);
  result.activation_fn = config.get("activation_fn", result.activation_fn.c_str());
  result.timestep_activation =
      ops::parse_activation(config.get("timestep_activation_fn", "silu"), cogvideox_who);
  result.norm_elementwise_affine = config.get("norm_elementwise_affine", result.norm_elementwise_affine);
  result.norm_eps = static_cast<float>(config.get("norm_eps", 1e-5));
  result.spatial_interpolation_scale =
      config.get("spatial_interpolation_scale", result.spatial_interpolation_scale);
  result.temporal_interpolation_scale =
      config.get("temporal_interpolation_scale", result.temporal_interpolation_scale);
  result.use_rotary_positional_embeddings =
      config.get("use_rotary_positional_embeddings", result.use_rotary_positional_embeddings);
  result.use_learned_positional_embeddings =
      config.get("use_learned_positional_embeddings", result.use_learned_positional_embeddings);
  result.patch_bias = config.get("patch_bias", result.patch_bias);
  config.ignore({"dropout"});
  config.finish();

  for (const auto& [key, value] :
       {std::pair<const char*, Index>{"num_attention_heads", result.num_attention_heads},
        {"attention_head_dim", result.attention_head_dim},
        {"in_channels", result.in_channels},
        {"out_channels", result.out_channels},
        {"time_embed_dim", result.time_embed_dim},
        {"text_embed_dim", result.text_embed_dim},
        {"num_layers", result.num_layers},
        {"sample_width", result.sample_width},
        {"sample_height", result.sample_height},
        {"sample_frames", result.sample_frames},
        {"patch_size", result.patch_size},
        {"temporal_compression_ratio", result.temporal_compression_ratio},
        {"max_text_seq_length", result.max_text_seq_length}})
    if (value < 1)
      throw ConfigError(cogvideox_who, config.source() + ": " + key + " is " + std::to_string(value) +
                                           ", expected a positive number");
  const auto refuse = [&](const std::string& what) {
    throw ConfigError(cogvideox_who, config.source() + ": " + what);
  };
  if (config.has("patch_size_t") && result.patch_size_t < 1)
    refuse("patch_size_t is " + std::to_string(result.patch_size_t) + ", expected a positive number or null");
  if (result.ofs_embed_dim != 0 && result.ofs_embed_dim != result.time_embed_dim)
    refuse("ofs_embed_dim is " + std::to_string(result.ofs_embed_dim) + ", but what is added to it is " +
           std::to_string(result.time_embed_dim) + " wide, time_embed_dim");
  if (result.patch_size > result.sample_width || result.patch_size > result.sample_height)
    refuse("patches of " + std::to_string(result.patch_size) + " are larger than the sample, " +
           std::to_string(result.sample_height) + " x " + std::to_string(result.sample_width));
  if (result.use_rotary_positional_embeddings && result.attention_head_dim % 16 != 0)
    refuse("heads of " + std::to_string(result.attention_head_dim) +
           " do not split into pairs on three axes; 16 must divide attention_head_dim");
  if (result.adds_positions() && result.dim() % 16 != 0)
    refuse("tokens of " + std::to_string(result.dim()) +
           " do not split into positions on three axes; 16 must divide their width");
  if (result.use_learned_positional_embeddings && !result.use_rotary_positional_embeddings)
    refuse(
        "use_learned_positional_embeddings is true without use_rotary_positional_embeddings; no such "
        "model is known to the class");
  return result;
}

template class CogVideoXBlock<float>;
template class CogVideoXBlock<bfloat16>;
template class CogVideoXTransformer<float>;
template class CogVideoXTransformer<bfloat16>;

}  // namespace daguerre::models
