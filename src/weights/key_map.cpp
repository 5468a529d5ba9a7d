#include "daguerre/weights/key_map.hpp"

#include "weights/key_maps/layouts.hpp"
#include "weights/key_maps/names.hpp"

namespace daguerre::weights {

StateDict with_diffusers_names(const StateDict& weights) {
  using namespace key_maps;
  for (const auto& network : {below(weights, "control_model."), weights})
    if (is_ldm_control_net(network)) return from_ldm_control_net(network);
  for (const auto& network : {below(weights, "module."), weights})
    if (is_original_motion(network)) return from_original_motion(network);
  if (is_xlabs_control_net(weights)) return from_xlabs_control_net(weights);
  if (is_original_t2i_adapter(weights)) return from_original_t2i_adapter(weights);
  for (const auto& network : {below(weights, "model.diffusion_model."), weights}) {
    if (is_original_sd3(network)) return from_original_sd3(network);
    if (is_original_flux(network)) return from_original_flux(network);
    if (is_original_pixart(network)) return from_original_pixart(network);
    if (is_original_wan(network)) return from_original_wan(network);
    if (is_original_ltx(network)) return from_original_ltx(network);
  }
  for (const auto& network : {below(weights, "vae."), weights})
    if (is_original_ltx_autoencoder(network)) return from_original_ltx_autoencoder(network);
  if (is_original_dit(weights)) return from_original_dit(weights);
  if (is_renamed_clip(weights)) return from_renamed_clip(weights);
  if (is_open_clip(weights)) return from_open_clip(weights);
  if (is_llama_t5(weights)) return from_llama_t5(weights);
  if (is_ldm_unet(weights)) return from_ldm_unet(weights);
  if (is_original_tiny(weights)) return from_original_tiny(weights);
  if (is_original_wan_autoencoder(weights)) return from_original_wan_autoencoder(weights);
  if (is_ldm_autoencoder(weights)) return from_ldm_autoencoder(weights);
  return weights;
}

}  // namespace daguerre::weights
