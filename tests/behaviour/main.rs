mod doors;
mod frames;
