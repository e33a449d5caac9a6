mod geography;
mod tilings;
mod doors;
mod frames;
